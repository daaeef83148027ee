import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Problem } from '../problem/problem.js';
import { formatQemuSize, formatSize, hex, parseAddress, parseSize, roughSize } from './format.js';
import { ADDRESS_SPACE, FOUR_GIB, GiB, KiB, MiB, TiB } from './kinds.js';

const LAST = ADDRESS_SPACE - 1n;
const any64 = fc.bigInt(0n, LAST);

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(Problem);
    return (error as Problem).code;
  }
  return 'no problem';
};

describe('hex', () => {
  it.each([
    [0n, 0, '0x0'],
    [FOUR_GIB - 1n, 0, '0xffffffff'],
    [FOUR_GIB, 0, '0x100000000'],
    [FOUR_GIB + 1n, 0, '0x100000001'],
    [LAST, 0, '0xffffffffffffffff'],
    [10, 4, '0x000a'],
    [-1n, 0, '-0x1'],
  ])('of %s with %s digits', (value, digits, text) => {
    expect(hex(value, digits)).toBe(text);
  });
});

describe('sizes and addresses that people type', () => {
  it.each([
    ['4096', 4096n],
    ['0x1000', 4096n],
    ['0X1B', 27n],
    ['4KiB', 4096n],
    ['4kb', 4096n],
    ['4K', 4096n],
    [' 16 MiB ', 16n * MiB],
    ['0x10M', 16n * MiB],
    ['64G', 64n * GiB],
    ['2TiB', 2n * TiB],
    ['1P', 1n << 50n],
    ['15EiB', 15n << 60n],
    ['12b', 12n],
    ['0', 0n],
    ['18446744073709551615', LAST],
    [512, 512n],
    [LAST, LAST],
  ])('size %s', (value, size) => {
    expect(parseSize(value)).toBe(size);
  });

  it.each([
    ['', 'size-syntax'],
    ['KiB', 'size-syntax'],
    ['1.5GiB', 'size-syntax'],
    ['-1', 'size-syntax'],
    ['1 2', 'size-syntax'],
    ['4KiBs', 'size-syntax'],
    ['1e3', 'size-syntax'],
    ['٣', 'size-syntax'],
    ['9'.repeat(41), 'size-syntax'],
    ['16E', 'size-range'],
    ['18446744073709551616', 'size-range'],
    [-1, 'size-range'],
    [-1n, 'size-range'],
    [ADDRESS_SPACE, 'size-range'],
    [1.5, 'size-inexact'],
    [NaN, 'size-inexact'],
    [Infinity, 'size-inexact'],
    [2 ** 53, 'size-inexact'],
  ])('size %s is %s', (value, code) => {
    expect(codeOf(() => parseSize(value))).toBe(code);
  });

  it.each([
    ['0x6b8000000000', 0x6b80_0000_0000n],
    ['0xFFFFFFFFFFFFFFFF', LAST],
    ['4294967296', FOUR_GIB],
    [2 ** 53 - 1, 9007199254740991n],
  ])('address %s', (value, address) => {
    expect(parseAddress(value)).toBe(address);
  });

  it.each([
    ['4KiB', 'address-syntax'],
    ['6b80', 'address-syntax'],
    ['0x', 'address-syntax'],
    ['0x10000000000000000', 'address-range'],
    [2 ** 53, 'address-inexact'],
    [0.5, 'address-inexact'],
  ])('address %s is %s', (value, code) => {
    expect(codeOf(() => parseAddress(value))).toBe(code);
  });

  it('a message shows no more than the start of what was typed', () => {
    expect(() => parseSize('x'.repeat(1e6))).toThrow(/^"x{60}" is not a size$/);
  });

  it('what output writes is read back', () => {
    fc.assert(
      fc.property(any64, (value) => {
        expect(parseAddress(hex(value))).toBe(value);
        expect(parseSize(hex(value))).toBe(value);
        expect(parseSize(formatQemuSize(value))).toBe(value);
        expect(parseSize(formatSize(value).replace(/ bytes?$/, ''))).toBe(value);
      }),
    );
  });
});

describe('sizes for people', () => {
  it.each([
    [0n, '0 bytes'],
    [1n, '1 byte'],
    [1023n, '1023 bytes'],
    [KiB, '1 KiB'],
    [1025n, '0x401'],
    [1536n * MiB, '1536 MiB'],
    [FOUR_GIB - 1n, '0xffffffff'],
    [FOUR_GIB, '4 GiB'],
    [1n << 63n, '8 EiB'],
    [ADDRESS_SPACE, '16 EiB'],
    [-4096n, '-0x1000'],
  ])('%s exactly', (size, text) => {
    expect(formatSize(size)).toBe(text);
  });

  it.each([
    [0n, '0 bytes'],
    [1023n, '1023 bytes'],
    [1025n, '~1 KiB'],
    [1536n, '1.5 KiB'],
    [1536n * GiB, '1.5 TiB'],
    [768n * MiB + 64n * KiB, '~768 MiB'],
    [769n * MiB - KiB, '~769 MiB'],
    [FOUR_GIB - 1n, '~4 GiB'],
    [LAST, '~16 EiB'],
  ])('%s roughly', (size, text) => {
    expect(roughSize(size)).toBe(text);
  });

  it('a rough size is within half a percent, and says whether it is exact', () => {
    fc.assert(
      fc.property(any64, (size) => {
        const text = roughSize(size);
        if (text.startsWith('0x')) throw new Error('hexadecimal is not rough');
        const [, about, number = '', unit = ''] = /^(~?)([0-9.]+) (.*)$/.exec(text) ?? [];
        const scale = ['byte', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'].indexOf(unit.replace('bytes', 'byte'));
        const value = (BigInt(Math.round(Number(number) * 100)) << BigInt(scale * 10)) / 100n;
        const off = value > size ? value - size : size - value;
        expect(off * 200n <= size).toBe(true);
        if (!about) expect(off * (1n << 40n) <= size).toBe(true);
      }),
    );
  });

  it.each([
    [0n, '0x0'],
    [KiB, '1K'],
    [64n * GiB, '64G'],
    [3n * GiB, '3G'],
    [1n << 60n, '1E'],
    [1000n, '0x3e8'],
  ])('%s for QEMU', (size, text) => {
    expect(formatQemuSize(size)).toBe(text);
  });
});
