import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as v from 'valibot';
import { diagnosisSchema } from '../../doctor/schema.js';
import { pinbar } from '../../../test/support/memory-io.js';

let folder = '';
const file = (name: string) => join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pinbar-doctor-'));
  writeFileSync(file('windows.txt'), '[    5.479496] pci_bus 0000:00: root bus resource [mem 0x10000000-0x3efeffff]\n');
  writeFileSync(file('log.txt'), '[    6.992533] pci 0000:00:09.0: BAR 1: no space for [mem size 0x20000000]\n');
  writeFileSync(file('healthy.txt'), '[    0.4] pci 0000:00:02.0: BAR 0 [mem 0x80000000-0x80ffffff 64bit]\n');
  writeFileSync(file('version.txt'), '[    0.000000] Linux version 6.12.1\n');
  writeFileSync(file('tree.txt'), '-[0000:00]-+-00.0\n           \\-02.0\n');
  writeFileSync(file('hello.txt'), 'hello world\n');
  writeFileSync(file('blank.txt'), '\n');
  writeFileSync(file('capture.json'), '{\n  "pinbar-capture": 1,\n  "host": { "commandLine": "pci=realloc" }\n}\n');
  writeFileSync(
    file('noise.txt'),
    "[    1.0] pci 0000:03:00.0: can't claim BAR 6 [mem 0xffff0000-0xffffffff pref]: no compatible bridge window\n",
  );
  writeFileSync(file('blob.dtb'), new Uint8Array(4096));
  writeFileSync(file('empty.txt'), '');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('puts several files together, and cites each by its name and line', async () => {
  const { stdout, stderr, code } = await pinbar(['doctor', file('windows.txt'), file('log.txt')]);
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(stdout).toMatch(/^ 1\. {2}alignment-no-slot {2}certain$/m);
  expect(stdout).toContain(`${file('log.txt')}:1`);
  expect(stdout).toContain(`${file('windows.txt')}:1`);
  expect(stdout).toContain('0x20000000 would end at 0x3fffffff');
});

it('prints one JSON document', async () => {
  const { stdout, code } = await pinbar(['doctor', '--json', file('log.txt')]);
  const { findings, missing } = v.parse(diagnosisSchema, JSON.parse(stdout));
  expect(findings[0]?.evidence).toEqual([
    {
      file: file('log.txt'),
      line: 1,
      text: '[    6.992533] pci 0000:00:09.0: BAR 1: no space for [mem size 0x20000000]',
    },
  ]);
  expect({ code, asks: missing.length > 0 }).toEqual({ code: 0, asks: true });
});

it('says so where nothing is wrong, and where what looks wrong is not', async () => {
  expect((await pinbar(['doctor', file('healthy.txt')])).stdout).toMatch(/^Nothing wrong found\.\nNo BAR or window/);
  const { stdout } = await pinbar(['doctor', file('noise.txt')]);
  expect(stdout).toMatch(
    /^No fault found\.\n[^]*No memory BAR is\s+shown there\.\s+What looks like a fault and is\s+none:\n\n 1\. {2}benign-noise/,
  );
});

it.each([
  ['hello.txt', 'nothing', /^Nothing about PCI placement found\./],
  ['blank.txt', 'nothing', /^Nothing about PCI placement found\./],
  ['capture.json', 'nothing', /^Nothing about PCI placement found\.[^]*is a capture of pinbar/],
  ['version.txt', 'other', /^No fault found, and no BAR shown\./],
  ['tree.txt', 'other', /^No fault found, and no BAR shown\./],
])('%s is not called healthy, and what to give instead is said', async (name, shown, start) => {
  const { stdout } = await pinbar(['doctor', file(name)]);
  expect(stdout).toMatch(start);
  expect(stdout).toMatch(/What to run next\n +sudo dmesg\n[^]*sudo lspci -vvv/);
  expect(stdout).not.toMatch(/Nothing wrong|No BAR or window/);
  const { stdout: json } = await pinbar(['doctor', '--json', file(name)]);
  expect(v.parse(diagnosisSchema, JSON.parse(json)).shown).toBe(shown);
});

it.each([
  ['a file that is not there', ['nowhere.txt'], /cannot read .*nowhere\.txt: there is no such file/],
  ['an empty file', ['empty.txt'], /empty\.txt is empty/],
  ['a device tree blob', ['blob.dtb'], /blob\.dtb is no text/],
])('%s is refused with a reason', async (_, names, reason) => {
  const { stdout, stderr, code } = await pinbar(['doctor', ...names.map(file)]);
  expect({ stdout, code }).toEqual({ stdout: '', code: 1 });
  expect(stderr).toMatch(reason);
});

it('standard input is read once', async () => {
  const { stderr, code } = await pinbar(['doctor', '-', '-']);
  expect(code).toBe(1);
  expect(stderr).toContain('standard input can be read once');
});
