import { alignUp, ascending, maxOf, minOf } from '../address/align.js';
import type { Span } from './item.js';

/*
 * Counting arguments. Something that starts at a multiple of a unit and is as large fills whole units, and no two things
 * share one. So a size class needs as many whole units as there are, together with all larger classes.
 */

/** Bytes that lie in whole units: in all, those of its own unit and of larger ones. A unit is a power of two. */
export interface Need {
  readonly unit: bigint;
  readonly bytes: bigint;
}

/** `whole(unit)`: bytes in whole units, which never rises with the unit. Each byte goes to the largest unit it counts for. */
function needsBy(units: readonly bigint[], whole: (unit: bigint) => bigint): Need[] {
  let above = 0n;
  return [...units]
    .sort((a, b) => ascending(b, a))
    .flatMap((unit) => {
      const bytes = whole(unit) - above;
      if (bytes <= 0n) return [];
      above += bytes;
      return [{ unit, bytes }];
    });
}

/** Of `size` bytes in one piece at a multiple of `align`, wherever that is. */
export function needsOfPiece(size: bigint, align: bigint): Need[] {
  const units: bigint[] = [];
  for (let unit = align; unit <= size; unit *= 2n) units.push(unit);
  if (units.length === 0) units.push(align);
  return needsBy(units, (unit) => (unit === align ? size : ((size - (unit - align)) / unit) * unit));
}

/** Of a window, whose bounds are multiples of `granule`, with these contents. */
export function needsOfWindow(contents: readonly Need[], granule: bigint): Need[] {
  const sum = (unit: bigint) => contents.reduce((bytes, need) => (need.unit >= unit ? bytes + need.bytes : bytes), 0n);
  const least = alignUp(sum(0n), granule);
  const piece = needsOfPiece(least, granule);
  const inPiece = (unit: bigint) => piece.reduce((bytes, need) => (need.unit >= unit ? bytes + need.bytes : bytes), 0n);
  const units = new Set([...contents, ...piece].map(({ unit }) => maxOf(unit, granule)));
  return needsBy([...units], (unit) => (unit === granule ? least : maxOf(sum(unit), inPiece(unit))));
}

export const bytesOf = (needs: readonly Need[]): bigint => needs.reduce((sum, { bytes }) => sum + bytes, 0n);

/** `spans` without `holes`; both ascending, the spans disjoint. */
export function without(spans: readonly Span[], holes: readonly Span[]): Span[] {
  const left: Span[] = [];
  for (const { base, limit } of spans) {
    let low = base;
    for (const hole of holes) {
      if (hole.limit < low || hole.base > limit) continue;
      if (hole.base > low) left.push({ base: low, limit: hole.base - 1n });
      low = hole.limit + 1n;
    }
    if (low <= limit) left.push({ base: low, limit });
  }
  return left;
}

/** Free spans, ascending, and how much room they have for each size class. */
export class Room {
  readonly units: readonly bigint[];
  /** By unit: whole units in each span and all after it, in bytes. */
  readonly #after: readonly (readonly bigint[])[];

  constructor(
    private readonly spans: readonly Span[],
    units: Iterable<bigint>,
  ) {
    this.units = [...new Set([...units, 1n])].sort((a, b) => ascending(b, a));
    this.#after = this.units.map((unit) => {
      let sum = 0n;
      const room = new Array<bigint>(spans.length);
      for (let i = spans.length - 1; i >= 0; i--) {
        const span = spans[i];
        if (span) sum += wholeUnits(span.base, span.limit, unit);
        room[i] = sum;
      }
      return room;
    });
  }

  /** What `needs` ask for, by unit. */
  ask(needs: readonly Need[]): bigint[] {
    const asked = this.units.map(() => 0n);
    for (const { unit, bytes } of needs) {
      const i = this.units.indexOf(unit);
      asked[i] = (asked[i] ?? 0n) + bytes;
    }
    return asked;
  }

  /** Bytes that are left over from `cursor` on, by the smallest unit; below 0 where any size class has too little. */
  slack(asked: readonly bigint[], cursor: bigint): bigint {
    const at = this.#first(cursor);
    const span = this.spans[at];
    let sum = 0n;
    let room = 0n;
    for (const [i, unit] of this.units.entries()) {
      const bytes = asked[i];
      const isLast = i === this.units.length - 1;
      if (!bytes && !isLast) continue;
      sum += bytes ?? 0n;
      room = this.#after[i]?.[at + 1] ?? 0n;
      if (span && (isLast || sum > room)) room += wholeUnits(maxOf(span.base, cursor), span.limit, unit);
      if (sum > room) return -1n;
    }
    return room - sum;
  }

  /** No layout from `cursor` on ends lower; null: there is not enough room. */
  end(asked: readonly bigint[], cursor: bigint): bigint | null {
    const first = this.#first(cursor);
    let latest = cursor;
    let sum = 0n;
    for (const [i, unit] of this.units.entries()) {
      const bytes = asked[i];
      if (!bytes) continue;
      sum += bytes;
      const end = this.#endOf(sum, unit, first, cursor);
      if (end === null) return null;
      if (end > latest) latest = end;
    }
    return latest;
  }

  /** The first span that reaches up to the cursor. */
  #first(cursor: bigint): number {
    let at = 0;
    for (let span = this.spans[at]; span && span.limit < cursor; span = this.spans[at]) at++;
    return at;
  }

  /** Where the whole units from `cursor` on, which lies in or before span `first`, add up to `bytes`. */
  #endOf(bytes: bigint, unit: bigint, first: number, cursor: bigint): bigint | null {
    let left = bytes;
    for (let i = first; ; i++) {
      const span = this.spans[i];
      if (!span) return null;
      const base = maxOf(span.base, cursor);
      const room = wholeUnits(base, span.limit, unit);
      if (left <= room) return alignUp(base, unit) + left;
      left -= room;
    }
  }
}

/** Bytes in whole units between `base` and `limit`, both included. */
function wholeUnits(base: bigint, limit: bigint, unit: bigint): bigint {
  const mask = -unit;
  const bytes = ((limit + 1n) & mask) - ((base + unit - 1n) & mask);
  return bytes > 0n ? bytes : 0n;
}

/**
 * What of `needs` finds no room in `spans`, which lie in a window: the window has to grow by it, and whole granules. Null
 * where nothing is left.
 */
export function overflow(needs: readonly Need[], spans: readonly Span[], granule: bigint): Need[] {
  const units = [...new Set([...needs.map(({ unit }) => unit), 1n])];
  const lacking = (unit: bigint) => {
    const asked = needs.reduce((sum, need) => (need.unit >= unit ? sum + need.bytes : sum), 0n);
    const room = spans.reduce((sum, { base, limit }) => sum + wholeUnits(base, limit, unit), 0n);
    return maxOf(asked - room, 0n);
  };
  const small = units.filter((unit) => unit <= granule).map(lacking);
  const least = alignUp(small.reduce(maxOf, 0n), granule);
  const large = units.filter((unit) => unit > granule);
  return needsBy([...large, granule], (unit) => (unit === granule ? least : lacking(unit)));
}

/** Whether `size` bytes at a multiple of `unit` fit into one of the spans. */
export const fitsSome = (spans: readonly Span[], size: bigint, unit: bigint): boolean =>
  spans.some(({ base, limit }) => alignUp(base, unit) + size - 1n <= limit);

/** The same needs where only multiples of `unit` are known to be multiples of larger units, too. */
export const cappedAt = (needs: readonly Need[], unit: bigint): Need[] =>
  needs.map((need) => ({ unit: minOf(need.unit, unit), bytes: need.bytes }));
