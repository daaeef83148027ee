import { describe, expect, it } from 'vitest';
import { GiB, MiB } from '../../address/kinds.js';
import { parseSplitRam } from './split-ram.js';

describe('--split-ram', () => {
  it('has the board’s own part first, and others with or without an address', () => {
    expect(parseSplitRam('1GiB+4GiB')).toEqual({
      low: GiB,
      high: [{ size: 4n * GiB }],
      source: '--split-ram 1GiB+4GiB',
    });
    expect(parseSplitRam('512M+2G@0x400000000+1040MiB').high).toEqual([
      { size: 2n * GiB, base: 0x4_0000_0000n },
      { size: 1040n * MiB },
    ]);
    expect(parseSplitRam('1GiB+1GiB@0xffffffffc0000000').high[0]?.base).toBe((1n << 64n) - GiB);
  });

  it.each([
    ['', 'split-ram-syntax', 'there is no +'],
    ['5GiB', 'split-ram-syntax', 'there is no +'],
    ['1GiB@0x80000000+4GiB', 'split-ram-address', 'no option moves'],
    ['1GiB+4GiB@0x400000000@0x500000000', 'split-ram-syntax', 'two addresses'],
    ['1GiB+', 'split-ram-size', '"" is not a size'],
    ['+4GiB', 'split-ram-size', '"" is not a size'],
    ['1GiB+4', 'split-ram-size', '4 is no whole number of MiB'],
    ['1GiB+0', 'split-ram-size', '0 is no RAM at all'],
    ['1GiB+4GiB@', 'split-ram-address', 'an address is needed after the @'],
    ['1GiB+4GiB@0x400000001', 'split-ram-address', 'no multiple of 1 MiB'],
    ['1GiB+2GiB@0xffffffffc0000000', 'split-ram-address', 'ends past 64 bits'],
    ['1GiB+99999999999999999999TiB', 'split-ram-size', 'at most 64 bits'],
  ])('%s is refused: %s', (text, code, what) => {
    expect(() => parseSplitRam(text)).toThrow(
      expect.objectContaining({ code, exit: 1, message: expect.stringContaining(what) as string }) as Error,
    );
  });
});
