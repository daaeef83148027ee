import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alignUp, ascending, isAligned, isPowerOfTwo, maxOf, minOf } from './align.js';
import { FOUR_GIB, MiB } from './kinds.js';

describe('alignment', () => {
  it.each([
    [0n, MiB, 0n],
    [1n, MiB, MiB],
    [FOUR_GIB - 1n, MiB, FOUR_GIB],
    [FOUR_GIB, MiB, FOUR_GIB],
    [FOUR_GIB + 1n, MiB, FOUR_GIB + MiB],
    [(1n << 64n) - 1n, 1n, (1n << 64n) - 1n],
    [(1n << 64n) - 1n, 2n, 1n << 64n],
  ])('%s up to a multiple of %s', (address, alignment, above) => {
    expect(alignUp(address, alignment)).toBe(above);
  });

  it('gives the lowest multiple that is not below', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, (1n << 64n) - 1n), fc.integer({ min: 0, max: 63 }), (address, bits) => {
        const alignment = 1n << BigInt(bits);
        const above = alignUp(address, alignment);
        expect(above % alignment).toBe(0n);
        expect(above >= address && above - address < alignment).toBe(true);
        expect(isAligned(address, alignment)).toBe(address % alignment === 0n);
      }),
    );
  });

  it('knows powers of two', () => {
    const powers = Array.from({ length: 65 }, (_, bit) => 1n << BigInt(bit));
    expect(powers.every(isPowerOfTwo)).toBe(true);
    expect([-2n, -1n, 0n, ...powers.slice(2).flatMap((power) => [power - 1n, power + 1n])].some(isPowerOfTwo)).toBe(
      false,
    );
  });

  it('orders', () => {
    expect([FOUR_GIB, 0n, -1n, 1n].toSorted(ascending)).toEqual([-1n, 0n, 1n, FOUR_GIB]);
    expect(ascending(1n, 1n)).toBe(0);
    expect([minOf(1n, 2n), minOf(2n, 1n), maxOf(1n, 2n), maxOf(2n, 1n)]).toEqual([1n, 1n, 2n, 2n]);
  });
});
