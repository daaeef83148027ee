import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Problem } from '../problem/problem.js';
import { compareBdf, deviceFunction, formatBdf, formatSlot, parseBdf, parseSlot } from './bdf.js';

const slot = fc.record({ device: fc.nat(31), fn: fc.nat(7) });
const bdf = fc.record({ segment: fc.nat(0xffff), bus: fc.nat(255), device: fc.nat(31), fn: fc.nat(7) });

describe('a slot', () => {
  it.each([
    ['0.0', { device: 0, fn: 0 }],
    ['1e.1', { device: 30, fn: 1 }],
    ['1F.7', { device: 31, fn: 7 }],
    ['10', { device: 16, fn: 0 }],
    [' 03.2 ', { device: 3, fn: 2 }],
  ])('%j', (text, expected) => {
    expect(parseSlot(text)).toEqual(expected);
  });

  it.each(['', '20.0', '1.8', '1.', '.1', '001.0', '1.00', '-1.0', '0x1.0', '1:0', '1.0 1'])('%j is none', (text) => {
    expect(() => parseSlot(text)).toThrow(expect.objectContaining({ code: 'slot-syntax' }) as Error);
  });

  it('is read as it was written', () => {
    fc.assert(
      fc.property(slot, (at) => {
        expect(parseSlot(formatSlot(at))).toEqual(at);
      }),
    );
  });

  it('with ARI is written as the device and function bits of its number', () => {
    expect(formatSlot({ device: 0, fn: 0x2b })).toBe('05.3');
    expect(deviceFunction({ device: 0, fn: 255 })).toBe(255);
  });
});

describe('a PCI address', () => {
  it.each([
    ['01:00.0', { segment: 0, bus: 1, device: 0, fn: 0 }],
    ['0000:FF:1f.7', { segment: 0, bus: 255, device: 31, fn: 7 }],
    ['10000:01:00.0', { segment: 0x10000, bus: 1, device: 0, fn: 0 }],
  ])('%j', (text, expected) => {
    expect(parseBdf(text)).toEqual(expected);
  });

  it.each(['', '1:0.0', '01:20.0', '01:00.8', '01:00', '0:01:00.0', ':01:00.0', '01-00.0', `${'0'.repeat(9)}:01:00.0`])(
    '%j is none',
    (text) => {
      expect(() => parseBdf(text)).toThrow(expect.objectContaining({ code: 'bdf-syntax' }) as Error);
    },
  );

  it('is read as it was written, and any text is read or is a Problem', () => {
    fc.assert(
      fc.property(bdf, (at) => {
        expect(parseBdf(formatBdf(at))).toEqual(at);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('0', '1', 'f', ':', '.', ' ', 'g') }), (text) => {
        for (const parse of [parseBdf, parseSlot]) {
          try {
            parse(text);
          } catch (error) {
            expect(error).toBeInstanceOf(Problem);
          }
        }
      }),
    );
  });

  it('comes in the order of its text', () => {
    fc.assert(
      fc.property(bdf, bdf, (a, b) => {
        const [x, y] = [formatBdf(a), formatBdf(b)];
        expect(Math.sign(compareBdf(a, b))).toBe(x < y ? -1 : x > y ? 1 : 0);
      }),
    );
  });
});
