import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { pinbar } from '../lab/pinbar.js';
import { scratchFolder } from '../lab/suite.js';
import { oneOfEverything } from '../support/export-source.js';
import { describeWith } from '../support/tools.js';

/** Both fragments of the machine file, as pinbar exports them: once for all tests. */
let exported: readonly string[] | undefined;

async function exportBoth(machine: string): Promise<readonly string[]> {
  const runs = await Promise.all(['xen', 'xen-domain'].map((format) => pinbar(['export', format, machine])));
  expect(runs.map(({ end }) => end)).toEqual([0, 0]);
  return runs.map(({ output }) => output);
}

/** Compiles both, the domain's as `change` makes it, and runs the simulated machine with them. */
async function prepare(change = (domain: string) => domain) {
  const folder = scratchFolder();
  const machine = join(folder, 'machine.pinbar.yaml');
  writeFileSync(machine, oneOfEverything);
  const [guest = '', domain = ''] = (exported ??= await exportBoth(machine));
  const blobs = [guest, change(domain)].map((input, i) => {
    const blob = join(folder, `${i}.dtb`);
    const { status, stderr } = spawnSync('dtc', ['-I', 'dts', '-O', 'dtb', '-o', blob], { input });
    expect([status, stderr.toString()]).toEqual([0, '']);
    return blob;
  });
  const run = (...more: string[]) =>
    pinbar(['run', '--sim', machine, ...blobs.flatMap((blob) => ['--xen', blob]), ...more]);
  return { folder, run };
}

describeWith('dtc', 'a Xen guest on the simulated machine, its IOREQ server in a thread of its own', () => {
  it('finds an empty bus, rescans, and finds every device where the plan has it', async () => {
    const { folder, run } = await prepare();
    const plan = join(folder, 'plan.json');
    const { output, errors, end } = await run('--plan-out', plan);
    expect([end, errors]).toEqual([0, '']);
    expect(output.split('\n').slice(0, 6)).toEqual([
      'guest looks early    an empty bus: background 0x4010000000-0x401fffffff answers with 0xffffffff',
      'IOREQ server claims  0x4010000000-0x401fffffff',
      '                     0x3eff0000-0x3effffff',
      '                     0x10000000-0x3efeffff',
      '                     0x400000000000-0x7fffffffffff',
      'guest rescans        13 functions, and each of their 12 BARs answers where the plan has it',
    ]);
    expect(output).toMatch(/gpu0 +BAR 0 .*\n +BAR 2 +mem64 pref +256 GiB +0x0 off +0x6b8000000000 +pinned/);
    expect(readFileSync(plan, 'utf8')).toContain('"address": "0x6b8000000000"');
    expect(JSON.parse((await run('--json')).output)).toEqual(JSON.parse(readFileSync(plan, 'utf8')));
  });

  it.each<[string, (domain: string) => string, string]>([
    [
      'nothing answers before the server',
      (domain) => domain.replace(/\t(trap-unmapped|mmio-background)[^;]*;\n/g, ''),
      'before an IOREQ server has attached, the guest dies of a look at the bus: the read of 4 bytes at 0x4010000000 ends in a data abort (ESR 0x96000000)',
    ],
    [
      'something answers for two devices alone',
      (domain) => domain.replace(/\ttrap-unmapped[^;]*;\n/, '').replace('0x0 0x10000000 0xff', '0x0 0x10000 0xff'),
      'dies of a look at the bus: the read of 4 bytes at 0x4010010000 ends in a data abort',
    ],
    [
      'the server does not claim config space',
      (domain) => domain.replace('server-ranges = <0x40', 'server-ranges = <0x41'),
      'after a rescan the guest finds 0 of 13 functions',
    ],
    [
      'the server does not claim a window',
      (domain) => domain.replace(', <0x4000 0x0 0x4000 0x0>', ''),
      'is not reached: background 0x0-0xffffffffffffffff reads 0xffffffffffffffff at its end',
    ],
  ])('%s: exit code 3, and what to do', async (_, change, message) => {
    const { output, errors, end } = await (await prepare(change)).run();
    expect([end, output]).toEqual([3, '']);
    expect(errors).toContain(message);
    expect(errors).toContain('help: ');
  });
});
