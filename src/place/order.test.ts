import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Budget } from './budget.js';
import type { Span } from './item.js';
import type { Part } from './order.js';
import { findOrder } from './find-order.js';

/** A part in segments of a line: every rule of the real ones, and none of their code. */
interface Shape {
  readonly size: number;
  readonly unit: number;
  /** Only in the first segment. */
  readonly low: boolean;
  readonly pin: number | null;
}

const segments: readonly Span[] = [
  { base: 3n, limit: 34n },
  { base: 38n, limit: 61n },
];

const [low0, high0] = [segments.slice(0, 1), segments.slice(1)];

function partOf(shape: Shape, index: number): Part {
  const { low, pin } = shape;
  const size = BigInt(shape.size);
  const unit = BigInt(shape.unit);
  const at = (cursor: bigint): bigint | null => {
    for (const { base, limit } of low ? segments.slice(0, 1) : segments) {
      const from = cursor > base ? cursor : base;
      const start = pin === null ? ((from + unit - 1n) / unit) * unit : BigInt(pin);
      if (start >= from && start + size - 1n <= limit) return start;
    }
    return null;
  };
  const leaf = size === unit && pin === null;
  return {
    key: pin === null ? `${size}/${unit}${low}` : `#${index}`,
    fixed: pin === null ? null : { base: BigInt(pin), limit: BigInt(pin) + size - 1n },
    least: size,
    rigid: pin !== null,
    unit,
    needs: pin === null ? [{ unit, bytes: size }] : [],
    ...(leaf ? { leaf: { group: 0, rank: low ? 0 : 1, homes: low ? [low0] : [high0, low0] } } : {}),
    end: (cursor) => {
      const start = at(cursor);
      return start === null ? null : start + size;
    },
    commit: () => undefined,
    rooms: low ? [0, 1] : [0],
  };
}

/** The lowest end over every order, or null. */
function slow(parts: readonly Part[], cursor: bigint): bigint | null {
  if (parts.length === 0) return cursor;
  let best: bigint | null = null;
  parts.forEach((part, i) => {
    const end = part.end(cursor);
    const rest = end === null ? null : slow([...parts.slice(0, i), ...parts.slice(i + 1)], end);
    if (rest !== null && (best === null || rest < best)) best = rest;
  });
  return best;
}

const leaf = fc.record({ log: fc.integer({ min: 0, max: 4 }), low: fc.boolean() }).map(({ log, low }): Shape => {
  return { size: 1 << log, unit: 1 << log, low, pin: null };
});
const block = fc.record({ many: fc.integer({ min: 1, max: 3 }), low: fc.boolean() }).map(({ many, low }): Shape => {
  return { size: many * 8, unit: 8, low, pin: null };
});
const pinned = fc
  .record({ log: fc.integer({ min: 0, max: 3 }), at: fc.integer({ min: 0, max: 60 }) })
  .map(({ log, at }): Shape => ({ size: 1 << log, unit: 1 << log, low: false, pin: (at >> log) << log }));

it('finds an order exactly when one of all orders fits, and the one that ends lowest', () => {
  const shapes = fc.array(
    fc.oneof({ weight: 4, arbitrary: leaf }, { weight: 2, arbitrary: block }, { weight: 1, arbitrary: pinned }),
    {
      minLength: 1,
      maxLength: 7,
    },
  );
  fc.assert(
    fc.property(shapes, fc.boolean(), (list, any) => {
      const parts = list.map(partOf);
      const line = { start: 0n, end: 62n, any, rooms: [segments, segments.slice(0, 1)] };
      const found = findOrder(parts, line, new Budget(1e6));
      const want = slow(parts, 0n);
      if (any) expect(found === null).toBe(want === null);
      else expect(found?.end ?? null).toBe(want);
    }),
    { numRuns: Number(process.env['PLACE_RUNS'] ?? 400) },
  );
});
