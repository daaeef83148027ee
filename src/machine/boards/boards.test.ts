import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GiB, MiB, TiB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import { findBoard } from './boards.js';
import { highMmioWindow } from './virt-aarch64.js';

type Properties = Readonly<Record<string, string | bigint | boolean>>;

const mapOf = (arch: string, ram: bigint, properties: Properties = {}) => {
  const board = findBoard('virt', arch);
  if (!board) throw new Error(`no board virt for ${arch}`);
  return board.map({ ram, properties });
};
const windows = (arch: string, ram: bigint, properties: Properties = {}) =>
  Object.fromEntries(
    (mapOf(arch, ram, properties).hostBridge.windows ?? []).map(({ type, base, size, cpuBase }) => [
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
    expect(hostBridge.windows?.map(({ type }) => type)).toEqual(types);
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

describe('q35', () => {
  const ram = (size: bigint) => findBoard('q35', 'x86_64')?.map({ ram: size, properties: {} }).ram.map(String);

  it('has its RAM in one piece up to 2.75 GiB, and from then on all but 2 GiB above 4 GiB', () => {
    expect(ram(0xaff0_0000n)).toEqual(['0x0-0xafefffff']);
    expect(ram(0xb000_0000n)).toEqual(['0x0-0x7fffffff', '0x100000000-0x12fffffff']);
    expect(ram(4n * GiB)).toEqual(['0x0-0x7fffffff', '0x100000000-0x17fffffff']);
  });

  it('leaves the windows to the machine file', () => {
    expect(findBoard('q35', 'x86_64')?.map({ ram: GiB, properties: {} }).hostBridge.windows).toBeUndefined();
  });
});
