import { describe, expect, it } from 'vitest';
import type { ConfigOp } from './config-access.js';
import { EcamAccess, type AddressedMemory, type MemoryOp } from './ecam.js';

/** A memory that keeps what it was asked, and answers reads with 1, 2, 3, … */
class Recorder implements AddressedMemory {
  readonly source = 'qtest';
  readonly ops: MemoryOp[] = [];

  batch(ops: readonly MemoryOp[]): Promise<number[]> {
    this.ops.push(...ops);
    let next = 0;
    return Promise.resolve(ops.map(({ kind }) => (kind === 'read' ? ++next : 0)));
  }
}

const HIGH = 0x40_1000_0000n;
const at = (segment: number, bus: number, device: number, fn: number) => ({ segment, bus, device, fn });
const read = (where: ConfigOp['at'], register: number, width: 1 | 2 | 4 = 4): ConfigOp => ({
  kind: 'read',
  at: where,
  register,
  width,
});

describe('ECAM', () => {
  const open = () => {
    const memory = new Recorder();
    const windows = [
      { segment: 0, base: HIGH, firstBus: 0, lastBus: 127 },
      { segment: 1, base: 0x3000_0000n, firstBus: 64, lastBus: 79 },
    ];
    return { memory, access: new EcamAccess(memory, windows) };
  };

  it.each<[string, ConfigOp['at'], number, bigint]>([
    ['the first register', at(0, 0, 0, 0), 0, HIGH],
    ['a bridge window of 00:01.0', at(0, 0, 1, 0), 0x18, HIGH + 0x8018n],
    ['the last register of 00:1f.7', at(0, 0, 31, 7), 0xffc, HIGH + 0xffffcn],
    ['bus 1', at(0, 1, 0, 0), 0, HIGH + 0x10_0000n],
    ['the last bus', at(0, 127, 31, 7), 0xffc, HIGH + 0x7ff_fffcn],
    ['function 255 by ARI', at(0, 2, 0, 255), 0x100, HIGH + 0x2f_f100n],
    ['the first bus of a window that does not begin at 0', at(1, 64, 0, 0), 4, 0x3000_0004n],
    ['the last bus of that window', at(1, 79, 0, 1), 4, 0x30f0_1004n],
  ])('has %s at the right address', async (_, where, register, address) => {
    const { memory, access } = open();
    expect(await access.batch([read(where, register)])).toEqual([1]);
    expect(memory.ops).toEqual([{ kind: 'read', address, width: 4 }]);
  });

  it('passes widths and values on, and gives each access its own answer', async () => {
    const { memory, access } = open();
    const where = at(0, 0, 0, 0);
    const values = await access.batch([
      read(where, 2, 2),
      { kind: 'write', at: where, register: 4, width: 2, value: 0x407 },
      read(at(0, 128, 0, 0), 0, 2),
      read(where, 3, 1),
      { kind: 'write', at: at(2, 0, 0, 0), register: 4, width: 4, value: 1 },
      read(at(1, 63, 0, 0), 0, 1),
      read(where, 8),
    ]);
    // No window covers bus 128 of segment 0, bus 63 of segment 1, and segment 2: all ones, and nothing is written.
    expect(values).toEqual([1, 0, 0xffff, 2, 0, 0xff, 3]);
    expect(memory.ops).toEqual([
      { kind: 'read', address: HIGH + 2n, width: 2 },
      { kind: 'write', address: HIGH + 4n, width: 2, value: 0x407 },
      { kind: 'read', address: HIGH + 3n, width: 1 },
      { kind: 'read', address: HIGH + 8n, width: 4 },
    ]);
    expect(access).toMatchObject({ source: 'qtest', writable: true });
  });

  it('asks nothing of the machine where no window covers anything', async () => {
    const { memory, access } = open();
    expect(await access.batch([read(at(9, 0, 0, 0), 0)])).toEqual([0xffff_ffff]);
    expect(memory.ops).toEqual([]);
    expect(await access.batch([])).toEqual([]);
  });

  it.each([
    [-4, 4],
    [0x1000, 1],
    [0xffe, 4],
    [2, 4],
    [1, 2],
  ] as const)('register %s is never accessed %s bytes wide', async (register, width) => {
    const { memory, access } = open();
    await expect(access.batch([read(at(0, 0, 0, 0), register, width)])).rejects.toThrow(RangeError);
    expect(memory.ops).toEqual([]);
  });
});
