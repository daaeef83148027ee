import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { barTypeBits, barWritableBits, decodeBars, decodeRom, encodeBar, type BarType } from './bar.js';

const types: fc.Arbitrary<BarType> = fc.constantFrom(
  { type: 'io', prefetchable: false },
  { type: 'mem32', prefetchable: false },
  { type: 'mem32', prefetchable: true },
  { type: 'mem64', prefetchable: false },
  { type: 'mem64', prefetchable: true },
);

describe('decodeBars', () => {
  it('takes every size of every type from what all ones read back, at any address', () => {
    fc.assert(
      fc.property(types, fc.nat({ max: 63 }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (type, bits, raw) => {
        const [least, most] = type.type === 'io' ? [2, 31] : type.type === 'mem32' ? [4, 31] : [4, 63];
        const size = 1n << BigInt(Math.min(Math.max(bits, least), most));
        const address = (type.type === 'mem64' ? raw : raw & 0xffff_ffffn) & -size;
        const writable = barWritableBits(type, size);
        const before = encodeBar(type, address);
        const ones = writable.map((mask, i) => (i === 0 ? (mask | barTypeBits(type)) >>> 0 : mask));
        expect(decodeBars(before, ones)).toEqual({ bars: [{ index: 0, ...type, size, address }], issues: [] });
      }),
    );
  });

  it.each([
    ['nothing', [0], [0], null],
    ['a 512 KiB prefetchable BAR', [0x8], [0xfff8_0008], 0x8_0000n],
    ['I/O ports with a hardwired upper half', [0x1], [0x0000_ffe1], 0x20n],
    ['the largest 32-bit BAR', [0], [0x8000_0000], 0x8000_0000n],
    ['a 64 GiB BAR, whose lower half has no writable bit', [0xc, 0], [0xc, 0xffff_fff0], 1n << 36n],
    ['the largest 64-bit BAR', [0x4, 0], [0x4, 0x8000_0000], 1n << 63n],
  ] as const)('%s', (_name, before, ones, size) => {
    const { bars, issues } = decodeBars(before, ones);
    expect(issues).toEqual([]);
    expect(bars.map((bar) => bar.size)).toEqual(size === null ? [] : [size]);
  });

  it.each([
    ['bar-type-reserved', [0x6], [0xffff_fff6], 0],
    ['bar-type-changed', [0x0], [0xffff_ffff], 0],
    // QEMU's pvpanic-pci.
    ['bar-too-small', [0x0], [0xffff_fffe], 1],
    ['bar-below-1m', [0x2], [0xffff_f002], 1],
    ['bar-no-upper-half', [0xc], [0xffff_f00c], 0],
    ['bar-mask-holes', [0x0], [0xff0f_0000], 1],
    ['bar-size-absurd', [0x8], [0x8], 0],
    ['bar-size-absurd', [0xc, 0], [0xc, 0], 0],
  ] as const)('%s', (code, before, ones, left) => {
    const { bars, issues } = decodeBars(before, ones);
    expect(issues.map((issue) => issue.code)).toEqual([code]);
    expect(bars).toHaveLength(left);
  });

  it('reads addresses, and no sizes, where nothing was written', () => {
    expect(decodeBars([0xe000_000c, 0x12, 0, 0xc001], null).bars).toEqual([
      { index: 0, type: 'mem64', prefetchable: true, size: null, address: 0x12_e000_0000n },
      { index: 3, type: 'io', prefetchable: false, size: null, address: 0xc000n },
    ]);
  });

  it('survives any registers', () => {
    const registers = fc.array(fc.nat({ max: 0xffff_ffff }), { minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(registers, registers, (before, ones) => {
        const { bars, issues } = decodeBars(before, ones);
        for (const { size } of bars) expect(size! & (size! - 1n)).toBe(0n);
        expect(bars.length + issues.length).toBeLessThanOrEqual(24);
      }),
    );
  });
});

describe('decodeRom', () => {
  it('takes the size from the writable bits, and the enable bit from the register', () => {
    expect(decodeRom(0xfeb0_0001, 0xfff8_0000)).toEqual({ size: 0x8_0000n, address: 0xfeb0_0000n, enabled: true });
    expect(decodeRom(0, 0)).toBeNull();
    expect(decodeRom(0xfeb0_0000, null)).toEqual({ size: null, address: 0xfeb0_0000n, enabled: false });
  });
});
