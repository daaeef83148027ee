import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AddressRange } from '../address/range.js';
import {
  decodeIoWindow,
  decodeMemoryWindow,
  decodePrefetchableWindow,
  encodeIoWindow,
  encodeMemoryWindow,
  encodePrefetchableWindow,
  ioWidth,
  prefetchableWidth,
} from './bridge-window.js';

const window = (granule: bigint, top: bigint) =>
  fc
    .tuple(fc.bigInt({ min: 0n, max: top / granule - 1n }), fc.bigInt({ min: 0n, max: top / granule - 1n }))
    .map(([a, b]) => (a < b ? [a, b] : [b, a]))
    .map(([a, b]) => AddressRange.of(a! * granule, (b! + 1n) * granule - 1n));

describe('bridge windows', () => {
  it('16-bit I/O windows come back', () => {
    fc.assert(
      fc.property(window(0x1000n, 1n << 16n), (range) => {
        expect(decodeIoWindow(encodeIoWindow(range).baseLimit, 0xdead_beef)).toEqual(range);
      }),
    );
  });

  it('32-bit I/O windows come back', () => {
    fc.assert(
      fc.property(window(0x1000n, 1n << 32n), (range) => {
        const { baseLimit, upper } = encodeIoWindow(range);
        expect(decodeIoWindow(baseLimit | 0x0101, upper)).toEqual(range);
      }),
    );
  });

  it('memory windows come back', () => {
    fc.assert(
      fc.property(window(0x10_0000n, 1n << 32n), (range) => {
        expect(decodeMemoryWindow(encodeMemoryWindow(range))).toEqual(range);
      }),
    );
  });

  it('64-bit prefetchable windows come back, up to the last address', () => {
    fc.assert(
      fc.property(window(0x10_0000n, 1n << 64n), (range) => {
        const { baseLimit, baseUpper, limitUpper } = encodePrefetchableWindow(range);
        expect(decodePrefetchableWindow((baseLimit | 0x1_0001) >>> 0, baseUpper, limitUpper)).toEqual(range);
      }),
    );
    const last = AddressRange.of((1n << 64n) - 0x10_0000n, (1n << 64n) - 1n);
    expect(encodePrefetchableWindow(last)).toEqual({
      baseLimit: 0xfff0_fff0,
      baseUpper: 0xffff_ffff,
      limitUpper: 0xffff_ffff,
    });
  });

  // Worked by hand from PCI-to-PCI Bridge Architecture 1.2 §3.2.5.6 to 3.2.5.10.
  it('has the registers of a known bridge', () => {
    expect(encodeMemoryWindow(AddressRange.of(0x1000_0000n, 0x110f_ffffn))).toBe(0x1100_1000);
    expect(encodeIoWindow(AddressRange.of(0x1_c000n, 0x1_dfffn))).toEqual({ baseLimit: 0xd0c0, upper: 0x0001_0001 });
    expect(encodePrefetchableWindow(AddressRange.of(0x6b80_0000_0000n, 0x6d7f_ffff_ffffn))).toEqual({
      baseLimit: 0xfff0_0000,
      baseUpper: 0x6b80,
      limitUpper: 0x6d7f,
    });
  });

  it('is closed where the base is above the limit', () => {
    expect(decodeIoWindow(encodeIoWindow(null).baseLimit, 0)).toBeNull();
    expect(decodeIoWindow(encodeIoWindow(null).baseLimit | 0x0101, 0)).toBeNull();
    expect(decodeMemoryWindow(encodeMemoryWindow(null))).toBeNull();
    const { baseLimit, baseUpper, limitUpper } = encodePrefetchableWindow(null);
    expect(decodePrefetchableWindow(baseLimit, baseUpper, limitUpper)).toBeNull();
    expect(decodePrefetchableWindow(0xfff0_0001 | 1, 1, 0)).toBeNull();
  });

  it('is open at zero where all registers are zero', () => {
    expect(decodeMemoryWindow(0)).toEqual(AddressRange.of(0n, 0xf_ffffn));
    expect(decodeIoWindow(0, 0)).toEqual(AddressRange.of(0n, 0xfffn));
  });

  it('tells its width by type bit 0', () => {
    expect([0xf0, 0xf1].map(ioWidth)).toEqual([16, 32]);
    expect([0xfff0, 0xfff1].map(prefetchableWidth)).toEqual([32, 64]);
  });
});
