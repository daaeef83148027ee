import fc from 'fast-check';
import { expect, it } from 'vitest';
import { windowWherever } from './wherever.js';

/** Puts BARs into a window that starts at `start`, as a guest does; where the last one ends. */
function endOf(sizes: readonly bigint[], start: bigint): bigint {
  const taken: { base: bigint; end: bigint }[] = [];
  for (const size of sizes.toSorted((a, b) => Number(b - a))) {
    let base = ((start + size - 1n) / size) * size;
    while (taken.some((one) => one.base < base + size && base < one.end)) base += size;
    taken.push({ base, end: base + size });
  }
  return taken.reduce((end, one) => (one.end > end ? one.end : end), start);
}

it.each([
  [[], 2n, 0n],
  [[1n, 1n], 2n, 2n],
  [[16n], 2n, 30n],
  // The small one lies in front of the large one where the window starts badly for that.
  [[16n, 1n], 2n, 30n],
  [[16n, 1n], 1n, 31n],
  [[16n, 8n], 1n, 31n],
  [[16n, 16n], 1n, 47n],
])('%s in steps of %s: %s', (sizes, step, window) => {
  expect(windowWherever(sizes, step)).toBe(window);
});

it('holds the BARs wherever it starts, and the next smaller window does not', () => {
  const size = fc.integer({ min: 0, max: 8 }).map((bit) => 1n << BigInt(bit));
  fc.assert(
    fc.property(fc.array(size, { minLength: 1, maxLength: 6 }), fc.constantFrom(1n, 2n, 4n), (sizes, step) => {
      const starts = Array.from({ length: Number(512n / step) }, (_, i) => BigInt(i) * step);
      const needs = starts.map((start) => endOf(sizes, start) - start);
      const worst = needs.reduce((a, b) => (a > b ? a : b));
      expect(windowWherever(sizes, step)).toBe(((worst + step - 1n) / step) * step);
    }),
  );
});
