import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ADDRESS_SPACE, FOUR_GIB } from './kinds.js';
import { AddressRange } from './range.js';
import { RangeSet } from './range-set.js';

const LAST = ADDRESS_SPACE - 1n;
const edges = [0n, FOUR_GIB - 1n, FOUR_GIB, FOUR_GIB + 1n, LAST];
const R = (base: bigint, limit: bigint) => AddressRange.of(base, limit);

describe('a range', () => {
  it.each(edges)('of the one byte at %s', (address) => {
    const range = AddressRange.sized(address, 1n);
    expect([range.base, range.limit, range.size]).toEqual([address, address, 1n]);
    expect(range.contains(address)).toBe(true);
    expect(range.contains(address + 1n) || range.contains(address - 1n)).toBe(false);
  });

  it('can be all of 64 bits, and no more', () => {
    const all = AddressRange.sized(0n, ADDRESS_SPACE);
    expect(all.size).toBe(ADDRESS_SPACE);
    expect(all.equals(R(0n, LAST))).toBe(true);
    expect(edges.every((edge) => all.contains(edge))).toBe(true);
  });

  it.each([
    [0n, 0n],
    [1n, ADDRESS_SPACE],
    [LAST, 2n],
    [-1n, 1n],
    [5n, -3n],
  ])('cannot have %s and %s bytes from there', (base, size) => {
    expect(() => AddressRange.sized(base, size)).toThrow(RangeError);
  });

  it('says which range is none', () => {
    expect(() => R(0x20n, 0x1fn)).toThrow('0x20..0x1f is not a range of 64-bit addresses');
    expect(() => R(0n, ADDRESS_SPACE)).toThrow(RangeError);
  });

  it('ends below 4 GiB or does not', () => {
    const below = AddressRange.sized(FOUR_GIB - 0x1000n, 0x1000n);
    const above = AddressRange.sized(FOUR_GIB, 0x1000n);
    expect(below.limit).toBe(0xffff_ffffn);
    expect(below.overlaps(above)).toBe(false);
    expect(below.meet(above)).toBeNull();
    expect(below.hull(above).toString()).toBe('0xfffff000-0x100000fff');
  });

  it('is frozen', () => {
    expect(Object.isFrozen(R(0n, 1n))).toBe(true);
  });

  const small = fc.tuple(fc.nat(20), fc.nat(20)).map(([a, b]) => R(BigInt(Math.min(a, b)), BigInt(Math.max(a, b))));
  const bytes = (range: AddressRange | null) =>
    new Set(range ? Array.from({ length: Number(range.size) }, (_, i) => range.base + BigInt(i)) : []);

  it('meets, covers and overlaps as sets of bytes do', () => {
    fc.assert(
      fc.property(small, small, (a, b) => {
        const [own, other] = [bytes(a), bytes(b)];
        const both = new Set([...own].filter((byte) => other.has(byte)));
        expect(bytes(a.meet(b))).toEqual(both);
        expect(a.overlaps(b)).toBe(both.size > 0);
        expect(b.overlaps(a)).toBe(both.size > 0);
        expect(a.covers(b)).toBe([...other].every((byte) => own.has(byte)));
        expect(a.hull(b).covers(a) && a.hull(b).covers(b)).toBe(true);
        expect(a.equals(b)).toBe(a.covers(b) && b.covers(a));
      }),
    );
  });
});

describe('a set of ranges', () => {
  // The slow model: the set of all bytes. One family of ranges lies at the bottom of the address space, one at its top.
  const span = 48n;
  const rangesFrom = (origin: bigint) =>
    fc.array(
      fc
        .tuple(fc.bigInt(0n, span - 1n), fc.bigInt(0n, span - 1n))
        .map(([a, b]) => R(origin + (a < b ? a : b), origin + (a < b ? b : a))),
      { maxLength: 8 },
    );
  const bytesOf = (ranges: Iterable<AddressRange>) => {
    const bytes = new Set<bigint>();
    for (const { base, limit } of ranges) for (let at = base; at <= limit; at++) bytes.add(at);
    return bytes;
  };

  const isCanonical = (set: RangeSet) =>
    set.ranges.every((range, i) => {
      const next = set.ranges[i + 1];
      return !next || range.limit + 1n < next.base;
    });

  it.each([0n, FOUR_GIB - span / 2n, LAST - span + 1n])('is what the set of its bytes is, from %s on', (origin) => {
    const ranges = rangesFrom(origin);
    fc.assert(
      fc.property(ranges, ranges, fc.bigInt(0n, span - 1n), fc.bigInt(0n, span - 1n), (first, second, x, y) => {
        const [a, b] = [RangeSet.of(first), RangeSet.of(second)];
        const [inA, inB] = [bytesOf(first), bytesOf(second)];
        const window = R(origin + (x < y ? x : y), origin + (x < y ? y : x));
        const inWindow = bytesOf([window]);
        const keep = (bytes: Set<bigint>, wanted: (byte: bigint) => boolean) => new Set([...bytes].filter(wanted));

        for (const [set, bytes] of [
          [a, inA],
          [a.union(second), new Set([...inA, ...inB])],
          [a.subtract(second), keep(inA, (byte) => !inB.has(byte))],
          [a.subtract(b), keep(inA, (byte) => !inB.has(byte))],
          [a.meet(window), keep(inA, (byte) => inWindow.has(byte))],
        ] as const) {
          expect(bytesOf(set)).toEqual(bytes);
          expect(set.size).toBe(BigInt(bytes.size));
          expect(isCanonical(set)).toBe(true);
        }
        expect(a.overlaps(window)).toBe([...inWindow].some((byte) => inA.has(byte)));
        expect(a.covers(window)).toBe([...inWindow].every((byte) => inA.has(byte)));
        for (const byte of inWindow) expect(a.find(byte)?.contains(byte) ?? false).toBe(inA.has(byte));
      }),
      { numRuns: 400 },
    );
  });

  it('holds all of 64 bits, and what is left when its ends are taken away', () => {
    const all = RangeSet.of([R(0n, LAST)]);
    expect(all.size).toBe(ADDRESS_SPACE);
    expect(all.subtract([R(0n, 0n), R(LAST, LAST)]).ranges.map(String)).toEqual(['0x1-0xfffffffffffffffe']);
    expect(all.subtract([R(0n, LAST)]).size).toBe(0n);
    expect(all.subtract([R(FOUR_GIB, FOUR_GIB)]).ranges.map(String)).toEqual([
      '0x0-0xffffffff',
      '0x100000001-0xffffffffffffffff',
    ]);
  });

  it('has an empty value', () => {
    expect([...RangeSet.empty]).toEqual([]);
    expect(RangeSet.empty.find(0n)).toBeUndefined();
    expect(RangeSet.empty.overlaps(R(0n, LAST))).toBe(false);
    expect(RangeSet.of([R(1n, 2n)]).covers(R(2n, 3n))).toBe(false);
  });
});
