import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GiB, MiB, TiB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import { ascending } from '../../address/align.js';
import { Problem } from '../../problem/problem.js';
import type { BoardOptions } from './board.js';
import { boards, findBoard } from './boards.js';
import { wrongProperties } from './properties.js';
import { isSince, parseRelease } from './release.js';
import { highMmioWindow } from './virt-aarch64.js';

type Properties = Readonly<Record<string, string | bigint | boolean>>;

const mapOf = (arch: string, ram: bigint, properties: Properties = {}) => {
  const board = findBoard('virt', arch);
  if (!board) throw new Error(`no board virt for ${arch}`);
  return board.map({ ram, properties });
};
const windows = (arch: string, ram: bigint, properties: Properties = {}) =>
  Object.fromEntries(
    mapOf(arch, ram, properties).hostBridge.windows.map(({ type, base, size, cpuBase }) => [
      type,
      `${AddressRange.sized(base, size).toString()}${BigInt(cpuBase) === BigInt(base) ? '' : ` at 0x${cpuBase.toString(16)}`}`,
    ]),
  );

describe('aarch64 virt', () => {
  it('has the windows that its device tree shows', () => {
    expect(windows('aarch64', 4n * GiB)).toEqual({
      io: '0x0-0xffff at 0x3eff0000',
      mem32: '0x10000000-0x3efeffff',
      mem64: '0x8000000000-0xffffffffff',
    });
    expect(mapOf('aarch64', 4n * GiB).ram.map(String)).toEqual(['0x40000000-0x13fffffff']);
    expect(mapOf('aarch64', GiB).hostBridge).toMatchObject({ id: 'pcie.0', segment: 0, buses: [0, 255] });
  });

  it.each([
    ['64TiB', '0x400000000000-0x7fffffffffff'],
    [1n << 40n, '0x10000000000-0x1ffffffffff'],
    ['512G', '0x8000000000-0xffffffffff'],
  ])('moves its 64-bit window with highmem-mmio-size=%s', (size, mem64) => {
    expect(windows('aarch64', GiB, { 'highmem-mmio-size': size })).toMatchObject({ mem64 });
  });

  it.each([['3T'], ['256G'], [0n], [true], ['much']])('cannot have highmem-mmio-size=%s', (size) => {
    expect(() => mapOf('aarch64', GiB, { 'highmem-mmio-size': size })).toThrow();
  });

  it.each([
    [{ highmem: false }, ['io', 'mem32'], 15],
    [{ highmem: 'off' }, ['io', 'mem32'], 15],
    [{ 'highmem-mmio': 'off' }, ['io', 'mem32'], 255],
    [{ 'highmem-ecam': 'off' }, ['io', 'mem32', 'mem64'], 15],
    [{ highmem: 'on' }, ['io', 'mem32', 'mem64'], 255],
  ])('with %j', (properties, types, lastBus) => {
    const { hostBridge } = mapOf('aarch64', GiB, properties);
    expect(hostBridge.windows.map(({ type }) => type)).toEqual(types);
    expect(hostBridge.buses).toEqual([0, lastBus]);
  });

  it('never has the 64-bit window over RAM, and always at a multiple of its size', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 4n * TiB), fc.integer({ min: 39, max: 50 }), (ram, bits) => {
        const size = 1n << BigInt(bits);
        const { base } = highMmioWindow(ram, size);
        expect(base % size).toBe(0n);
        // The second redistributor region and the ECAM lie between.
        expect(base - (0x4000_0000n + ram) >= 320n * MiB).toBe(true);
        expect(base >= 256n * GiB).toBe(true);
      }),
    );
  });
});

describe('riscv64 virt', () => {
  it('has the windows that its device tree shows', () => {
    expect(windows('riscv64', 4n * GiB)).toEqual({
      io: '0x0-0xffff at 0x3000000',
      mem32: '0x40000000-0x7fffffff',
      mem64: '0x400000000-0x7ffffffff',
    });
    expect(mapOf('riscv64', 4n * GiB).ram.map(String)).toEqual(['0x80000000-0x17fffffff']);
  });

  it('has the 64-bit window above RAM, at a multiple of its size', () => {
    expect(windows('riscv64', 14n * GiB)['mem64']).toBe('0x400000000-0x7ffffffff');
    expect(windows('riscv64', 14n * GiB + MiB)['mem64']).toBe('0x800000000-0xbffffffff');
    expect(windows('riscv64', 32n * GiB)['mem64']).toBe('0xc00000000-0xfffffffff');
  });
});

it('other boards are not known', () => {
  expect([findBoard('q35', 'aarch64'), findBoard('virt', 'x86_64'), findBoard('', '')]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

describe('q35 and pc', () => {
  const map = (name: string, ram: bigint, options: Partial<BoardOptions> = {}) => {
    const board = findBoard(name, 'x86_64');
    if (!board) throw new Error(`no board ${name}`);
    return board.map({ ram, properties: {}, ...options });
  };
  const ram = (...given: Parameters<typeof map>) => map(...given).ram.map(String);
  const windowsOf = (...given: Parameters<typeof map>) =>
    map(...given).hostBridge.windows.map(
      ({ type, base, size }) => `${type} ${AddressRange.sized(base, size).toString()}`,
    );

  it('have their RAM in one piece up to some size, and from then on the rest above 4 GiB', () => {
    expect(ram('q35', 0xaff0_0000n)).toEqual(['0x0-0xafefffff']);
    expect(ram('q35', 0xb000_0000n)).toEqual(['0x0-0x7fffffff', '0x100000000-0x12fffffff']);
    expect(ram('q35', 4n * GiB)).toEqual(['0x0-0x7fffffff', '0x100000000-0x17fffffff']);
    expect(ram('pc', 0xdff0_0000n)).toEqual(['0x0-0xdfefffff']);
    expect(ram('pc', 0xe000_0000n)).toEqual(['0x0-0xbfffffff', '0x100000000-0x11fffffff']);
  });

  it('split it lower where max-ram-below-4g says so', () => {
    const properties = { 'max-ram-below-4g': '1GiB' };
    expect(ram('q35', 4n * GiB, { properties })).toEqual(['0x0-0x3fffffff', '0x100000000-0x1bfffffff']);
    expect(() => map('q35', GiB, { properties: { 'max-ram-below-4g': '5GiB' } })).toThrow('more than 4 GiB');
  });

  it('have windows around the ECAM, and above memory as far as the address bits go', () => {
    expect(windowsOf('q35', GiB, { physicalAddressBits: 46 })).toEqual([
      'io 0x1000-0xffff',
      'mem32 0x40000000-0xafffffff',
      'mem32 0xc0000000-0xfebfffff',
      'mem64 0x100000000-0xfcffffffff',
      'mem64 0x10000000000-0x3fffffffffff',
    ]);
    expect(windowsOf('pc', 5n * GiB, { physicalAddressBits: 39 })).toEqual([
      'io 0x1000-0xffff',
      'mem32 0xc0000000-0xfebfffff',
      'mem64 0x180000000-0x7fffffffff',
    ]);
  });

  it('cannot have memory that leaves no room for 64-bit BARs within the address bits', () => {
    expect(() => map('q35', 4n * GiB, { physicalAddressBits: 36 })).not.toThrow();
    expect(() => map('q35', 31n * GiB, { physicalAddressBits: 36 })).toThrow('36 address bits end at 0xfffffffff');
  });

  it('say where AMD CPUs have their RAM', () => {
    expect(map('q35', 900n * GiB).notes.join(' ')).not.toContain('AMD');
    expect(map('q35', 1000n * GiB).notes.join(' ')).toContain('AMD');
  });
});

describe('properties', () => {
  const why = (run: () => unknown) => {
    try {
      run();
    } catch (error) {
      if (error instanceof Problem) return `${error.message} [${String(error.facts['property'])}]`;
      throw error;
    }
    return 'fine';
  };
  it.each<[string, Properties, string]>([
    ['aarch64', { highmem: 'perhaps' }, 'highmem: perhaps is neither on nor off [highmem]'],
    ['aarch64', { 'gic-version': '1' }, 'gic-version: 1 is not one of 2, 3, 4, x-5, host, max [gic-version]'],
    ['aarch64', { 'gic-version': '3' }, 'fine'],
    ['aarch64', { slots: '2' }, 'slots: there is no room for memory in them [slots]'],
    ['aarch64', { maxmem: '4GiB', slots: '257' }, 'slots: 257 is not a number from 0 to 256 [slots]'],
    [
      'aarch64',
      { maxmem: '512MiB' },
      'maxmem: 512 MiB (0x20000000) is less than the RAM that there is, 1 GiB [maxmem]',
    ],
    [
      'aarch64',
      { maxmem: '1GiB', slots: '1' },
      'maxmem: 1 GiB (0x40000000) is no more than the RAM that there is, 1 GiB [maxmem]',
    ],
    ['riscv64', { aia: 'plic' }, 'aia: plic is not one of none, aplic, aplic-imsic [aia]'],
  ])('of %s virt: %j', (arch, properties, message) => {
    expect(why(() => mapOf(arch, GiB, properties))).toBe(message);
  });

  it('that a board or its release does not know are named, with the one that was meant', () => {
    const [arm] = boards;
    if (!arm) throw new Error('no boards');
    expect(wrongProperties(arm, { 'highmem-mmio-sise': '1T' }, undefined)).toEqual([
      {
        property: 'highmem-mmio-sise',
        message: 'board virt (aarch64) has no property highmem-mmio-sise that moves its map',
        hint: 'did you mean highmem-mmio-size?',
      },
    ]);
    expect(wrongProperties(arm, { 'highmem-mmio-size': '1T' }, [9, 2])).toEqual([
      {
        property: 'highmem-mmio-size',
        message: 'QEMU 9.2 does not know highmem-mmio-size of board virt (aarch64)',
        hint: 'it came with QEMU 10.0',
      },
    ]);
    expect(wrongProperties(arm, { 'highmem-mmio-size': '1T' }, [10, 0])).toEqual([]);
    expect(wrongProperties(arm, { 'highmem-mmio-size': '1T' }, undefined)).toEqual([]);
  });
});

describe('releases', () => {
  it('are ordered by number', () => {
    expect(parseRelease('10.0.2')).toEqual([10, 0]);
    expect([
      isSince([9, 2], [10, 0]),
      isSince([10, 0], [10, 0]),
      isSince([11, 0], [10, 2]),
      isSince(undefined, [10, 2]),
    ]).toEqual([false, true, true, true]);
    expect(
      ['10', '10.', 'ten', '10.0.1.2', ''].map((text) => {
        try {
          parseRelease(text);
          return 'read';
        } catch {
          return 'refused';
        }
      }),
    ).toEqual(Array(5).fill('refused'));
  });
});

describe('aarch64 virt with address bits', () => {
  const board = boards[0];
  it('has what fits, and says what does not', () => {
    const at = (physicalAddressBits: number) => board?.map({ ram: GiB, properties: {}, physicalAddressBits });
    expect(at(40)?.hostBridge).toMatchObject({ buses: [0, 255], windows: [{}, {}, { type: 'mem64' }] });
    const narrow = at(39);
    expect(narrow?.hostBridge.windows.map(({ type }) => type)).toEqual(['io', 'mem32']);
    expect(narrow?.hostBridge.beyondAddressBits?.map(({ base }) => base)).toEqual([0x80_0000_0000n]);
    expect(narrow?.notes).toEqual([
      'With 39 address bits there is no 64-bit window: it would lie at 0x8000000000-0xffffffffff.',
    ]);
    expect(at(36)?.hostBridge.buses).toEqual([0, 15]);
  });
});
describe('every board', () => {
  it.each(boards.map((board) => [board.id, board] as const))('%s: nothing lies on anything else', (_, board) => {
    fc.assert(
      fc.property(fc.bigInt(1n, (4n * 1024n * GiB) / MiB), (ram) => {
        const { regions, hostBridge, ram: own } = board.map({ ram: ram * MiB, properties: {} });
        expect(own.reduce((sum, { size }) => sum + size, 0n)).toBe(ram * MiB);
        const windows = hostBridge.windows.map(({ cpuBase, size }) => AddressRange.sized(cpuBase, size));
        const memory = windows.filter((_, i) => board.arch !== 'x86_64' || hostBridge.windows[i]?.type !== 'io');
        // What lies below 1 MiB of a PC lies over RAM, and firmware may take RAM for itself.
        const beside = regions
          .filter(({ range }) => range.base >= MiB || board.arch !== 'x86_64')
          .filter(({ name }) => !name.startsWith('TSEG'));
        const all = [...own, ...memory, ...beside.map(({ range }) => range)].sort((a, b) => ascending(a.base, b.base));
        const meeting = all.filter((range, i) => all[i + 1]?.overlaps(range));
        expect(meeting.map(String)).toEqual([]);
        expect(regions.map(({ range }) => range.base)).toEqual(
          regions.map(({ range }) => range.base).toSorted(ascending),
        );
      }),
      { numRuns: 50 },
    );
  });
});
