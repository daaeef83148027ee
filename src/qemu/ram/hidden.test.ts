import { describe, expect, it } from 'vitest';
import { GiB, MiB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import type { HostWindow } from '../../machine/model.js';
import type { ConfigAccess, ConfigOp } from '../../pci/config-access.js';
import { parseSplitRam } from '../args/split-ram.js';
import { findRam, mapRam, placeRam, requireRam, type Occupied } from './hidden.js';
import { pieced } from './pieces.js';

const windows: readonly HostWindow[] = [
  { type: 'io', base: 0n, size: 0x1_0000n, cpuBase: 0x300_0000n },
  { type: 'mem32', base: 0x4000_0000n, size: GiB, cpuBase: 0x4000_0000n },
  { type: 'mem64', base: 0x4_0000_0000n, size: 16n * GiB, cpuBase: 0x4_0000_0000n },
];
const place = (text: string, occupied: readonly Occupied[] = [], at = windows) =>
  placeRam(pieced(parseSplitRam(text), new Set()), { segment: 0, firstBus: 0, windows: at }, occupied);
const ranges = (...args: Parameters<typeof place>) => place(...args).map(({ range }) => range.toString());
const taken = (base: bigint, size: bigint): Occupied => ({
  range: AddressRange.sized(base, size),
  what: 'what is there',
});
const problem = (code: string, exit: number, text: string) =>
  expect.objectContaining({ code, exit, message: expect.stringContaining(text) as string }) as Error;

describe('where hidden RAM goes', () => {
  it('is the lowest place in the 64-bit window that is free', () => {
    expect(ranges('1GiB+4GiB')).toEqual(['0x400000000-0x4ffffffff']);
    expect(ranges('1GiB+4GiB', [taken(0x4_4000_0000n, 1n)])).toEqual(['0x500000000-0x5ffffffff']);
    expect(ranges('1GiB+4GiB+1GiB')).toEqual(['0x400000000-0x4ffffffff', '0x500000000-0x53fffffff']);
    expect(ranges('1GiB+3GiB')).toEqual(['0x400000000-0x47fffffff', '0x480000000-0x4bfffffff']);
  });

  it('is where it was asked for, in any memory window', () => {
    expect(ranges('1GiB+4GiB@0x500000000')).toEqual(['0x500000000-0x5ffffffff']);
    expect(ranges('1GiB+512MiB@0x50000000')).toEqual(['0x50000000-0x5fffffff', '0x60000000-0x6fffffff']);
  });

  it('is a BAR’s bus address where the window is elsewhere for the CPU', () => {
    const [piece] = place('1GiB+1GiB', [], [{ type: 'mem64', base: 8n * GiB, size: 8n * GiB, cpuBase: 64n * GiB }]);
    expect(piece).toMatchObject({ address: 8n * GiB, range: { base: 64n * GiB }, at: { bus: 0, device: 31, fn: 1 } });
  });

  it('is refused where it cannot be', () => {
    expect(() => place('1GiB+17GiB')).toThrow(problem('split-ram-nowhere', 1, 'no 64-bit window has 17 GiB free'));
    expect(() => place('1GiB+4GiB@0x100000000')).toThrow(
      problem('split-ram-nowhere', 1, '0x100000000-0x1ffffffff lies in no memory window'),
    );
    expect(() => place('1GiB+4GiB@0x300000000')).toThrow(problem('split-ram-nowhere', 1, 'in no memory window'));
    expect(() => place('1GiB+4GiB', [], windows.slice(0, 2))).toThrow(
      problem('split-ram-nowhere', 1, 'there is no 64-bit window'),
    );
    expect(() => place('1GiB+2GiB@0x400000000+1GiB@0x440000000')).toThrow(
      problem('split-ram-overlap', 1, '0x400000000-0x47fffffff and 0x440000000-0x47fffffff'),
    );
    expect(() => place('1GiB+4GiB@0x400000000', [taken(0x4_4000_0000n, MiB)])).toThrow(
      problem('split-ram-conflict', 2, 'RAM at 0x400000000-0x4ffffffff would lie on what is there'),
    );
  });
});

/** Functions by `device.fn` and register; absent ones read as all ones. */
function registers(content: Readonly<Record<string, number>>): ConfigAccess & { readonly writes: string[] } {
  const writes: string[] = [];
  const one = (op: ConfigOp): number => {
    const name = `${op.at.device}.${op.at.fn} ${op.register.toString(16)}`;
    if (op.kind === 'write') writes.push(`${name} = ${op.value.toString(16)}`);
    return op.kind === 'read' ? (content[name] ?? 0xffff_ffff) : 0;
  };
  return { source: 'qtest', writable: true, writes, batch: (ops) => Promise.resolve(ops.map(one)) };
}
const ivshmem = { '31.1 0': 0x1110_1af4, '31.1 18': 0xc };

describe('hidden RAM', () => {
  it('is mapped with its registers out of the way', async () => {
    const access = registers(ivshmem);
    await findRam(access, place('1GiB+4GiB'));
    await mapRam(access, place('1GiB+4GiB'));
    expect(access.writes).toEqual(['31.1 10 = ffffffff', '31.1 18 = 0', '31.1 1c = 4', '31.1 4 = 2']);
  });

  it('may not be seen, and has to be what was asked for', async () => {
    const seen = findRam(registers({ ...ivshmem, '31.0 0': 0x1000_1af4 }), place('1GiB+4GiB'));
    await expect(seen).rejects.toThrow(problem('split-ram-seen', 1, 'device at 0000:00:1f.0'));
    await expect(findRam(registers({}), place('1GiB+4GiB'))).rejects.toThrow(
      problem('split-ram-device', 3, '0000:00:1f.1 is not the ivshmem function pinbar-ram0'),
    );
  });

  it('has to be there whole in QEMU’s view', () => {
    const view = (limit: string, kind = 'ram') =>
      `FlatView #0\n AS "memory", root: system\n Root memory region: system\n  0000000400000000-${limit} (prio 1, ${kind}): pinbar-ram0-memory\n`;
    expect(() => requireRam(view('00000004ffffffff'), place('1GiB+4GiB'))).not.toThrow();
    for (const wrong of [view('00000004fffffffe'), view('00000004ffffffff', 'i/o'), '']) {
      expect(() => requireRam(wrong, place('1GiB+4GiB'))).toThrow(
        problem('split-ram-not-mapped', 3, 'has no RAM there'),
      );
    }
  });
});
