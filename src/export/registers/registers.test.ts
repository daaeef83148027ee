import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { oneOfEverything, sourceOf } from '../../../test/support/export-source.js';
import { describeWith } from '../../../test/support/tools.js';
import { enumerate } from '../../enumerate/enumerate.js';
import { parseBdf, type Bdf } from '../../pci/bdf.js';
import { writeOp, readOp, type ConfigOp, type Width } from '../../pci/config-access.js';
import { verifyProgramme } from '../../program/program.js';
import { programme } from '../../program/programme.js';
import { simulate } from '../../sim/simulate.js';
import type { ExportSource } from '../exported.js';
import { exportSetpci } from './setpci.js';
import { exportUefiShell } from './uefi-shell.js';

/** Carries out writes on a simulated machine in its power-on state, and says what is not as the plan has it. */
async function differences(
  { plan, machine }: ExportSource,
  writes: readonly ConfigOp[],
  first: readonly ConfigOp[] = [],
) {
  const { access, hosts } = simulate(machine!);
  const wanted = programme(await enumerate(access, hosts), plan);
  const fresh = simulate(machine!);
  for (const write of [...first, ...writes]) await fresh.access.batch([write]);
  return (await verifyProgramme(fresh.access, wanted)).map(({ id, what }) => `${id} ${what}`);
}

/** `mm ssssbbddffrrr VALUE -w WIDTH -PCIE -n`. */
function mmWrites(script: string): ConfigOp[] {
  return script.split('\r\n').flatMap((line) => {
    if (!line.startsWith('mm ')) return [];
    const [, address, value, width] = /^mm ([0-9a-f]{13}) ([0-9a-f]+) -w ([124]) -PCIE -n$/.exec(line) ?? [];
    const number = (from: number, to: number) => parseInt(address!.slice(from, to), 16);
    const at: Bdf = { segment: number(0, 4), bus: number(4, 6), device: number(6, 8), fn: number(8, 10) };
    return [writeOp(at, number(10, 13), Number(width) as Width, parseInt(value!, 16))];
  });
}

describe('the UEFI shell script', () => {
  it('one of everything', async () => {
    const { content, notes } = exportUefiShell(await sourceOf(oneOfEverything));
    expect(`${(content as string).replaceAll('\r', '')}\n${notes.join('\n')}`).toMatchSnapshot();
  });

  it('puts a machine where the plan has it, but for VF BARs', async () => {
    const source = await sourceOf(oneOfEverything);
    const writes = mmWrites(exportUefiShell(source).content as string);
    expect(await differences(source, writes)).toEqual(['nic0 VF BAR 0', 'nic0 VF BAR 0, upper half']);
    // Without its first BAR it is seen.
    const other = writes.filter(({ register }) => register !== 0x10);
    expect(await differences(source, other)).toContain('rp1 BAR 0');
  });
});

describe('the setpci script', () => {
  it('one of everything', async () => {
    const { content, notes } = exportSetpci(await sourceOf(oneOfEverything));
    expect(`${content as string}\n${notes.join('\n')}`).toMatchSnapshot();
  });
});

let folder: string | undefined;
afterEach(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  folder = undefined;
});

/** Functions as `lspci -xxxx` prints them. */
async function dumpOf({ plan, machine }: ExportSource): Promise<{ text: string; buses: ConfigOp[] }> {
  const { access } = simulate(machine!);
  const buses = plan.bridges.flatMap(({ address, secondary, subordinate }) => [
    writeOp(address, 0x19, 1, secondary),
    writeOp(address, 0x1a, 1, subordinate),
  ]);
  for (const write of buses) await access.batch([write]);
  const parts = await Promise.all(
    plan.functions.map(async ({ address: { bus, device, fn }, address }) => {
      const bytes = await access.batch(Array.from({ length: 4096 }, (_, i) => readOp(address, i, 1)));
      const digits = (value: number, count = 2) => value.toString(16).padStart(count, '0');
      const lines = Array.from(
        { length: 256 },
        (_, row) =>
          `${digits(16 * row)}: ${bytes
            .slice(16 * row, 16 * row + 16)
            .map((byte) => digits(byte))
            .join(' ')}\n`,
      );
      return `0000:${digits(bus)}:${digits(device)}.${fn} Unassigned class [ff00]: x\n${lines.join('')}\n`;
    }),
  );
  return { text: parts.join(''), buses };
}

describeWith('setpci', 'setpci itself', () => {
  it('takes the script as it is meant', async () => {
    const source = await sourceOf(oneOfEverything);
    folder = mkdtempSync(join(tmpdir(), 'pinbar-setpci-'));
    const path = (name: string) => join(folder!, name);
    const { text, buses } = await dumpOf(source);
    writeFileSync(path('dump'), text);
    // This machine's own devices are none of its business.
    writeFileSync(path('script'), (exportSetpci(source).content as string).replaceAll('/sys/', path('sys/')));
    // The real program over a dump, which it only reads: -D says what it would write.
    const real = spawnSync('sh', ['-c', 'command -v setpci'], { encoding: 'utf8' }).stdout.trim();
    const shim = `#!/bin/sh\ncase "$*" in\n*=*) exec ${real} -D -v -A dump -O dump.name=${path('dump')} "$@" >>${path('log')} ;;\n*) exec ${real} -A dump -O dump.name=${path('dump')} "$@" ;;\nesac\n`;
    writeFileSync(path('setpci'), shim);
    chmodSync(path('setpci'), 0o755);
    const env = { ...process.env, PATH: `${folder}:${process.env['PATH'] ?? ''}` };
    const { status, stderr } = spawnSync('sh', [path('script')], { env, encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(status).toBe(0);

    // `0000:00:01.0 @10 10300000`, or with a mask `@04 0000->(0002:0007)->0002`, or `(ecap 0010 @148) @16c`.
    const writes = readFileSync(path('log'), 'utf8')
      .trim()
      .split('\n')
      .map((line): ConfigOp => {
        const [, at, register, value] =
          /^(\S+)(?: \(ecap 0010 @[0-9a-f]+\))? @([0-9a-f]+) (?:[0-9a-f]+->\(.*\)->)?([0-9a-f]+)$/.exec(line) ?? [];
        if (at === undefined) throw new Error(`setpci said ${line}`);
        return writeOp(parseBdf(at), parseInt(register!, 16), (value!.length / 2) as Width, parseInt(value!, 16));
      });
    expect(await differences(source, writes, buses)).toEqual([]);

    // Other bus numbers are a reason to stop.
    writeFileSync(path('dump'), text.replaceAll(/^(10: (?:\S\S ){9})01 /gm, '$177 '));
    const stopped = spawnSync('sh', [path('script')], { env, encoding: 'utf8' });
    expect(stopped.stderr).toContain('0000:00:01.0 does not have 19.B = 01');
    expect(stopped.status).toBe(1);
  });
});

describeWith('shellcheck', 'shellcheck', () => {
  it('has nothing to say against the setpci script', async () => {
    const input = exportSetpci(await sourceOf(oneOfEverything)).content;
    const { stdout, status } = spawnSync('shellcheck', ['-'], { input, encoding: 'utf8' });
    expect(stdout).toBe('');
    expect(status).toBe(0);
  });
});
