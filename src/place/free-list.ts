import type { Span } from './item.js';

/** A free range in a {@link FreeList}; empty where `low` is above `high`. Gaps are only ever split, so a held one stays valid. */
export interface Gap {
  low: bigint;
  high: bigint;
  next: Gap | null;
}

export interface Fit {
  readonly gap: Gap;
  readonly at: bigint;
}

/** What is free, in ascending order. */
export class FreeList {
  readonly head: Gap | null;

  /** `spans` without `taken`; both ascending, `spans` disjoint. */
  constructor(spans: Iterable<Span>, taken: readonly Span[] = []) {
    const first: Gap = { low: 1n, high: 0n, next: null };
    let last = first;
    const append = (low: bigint, high: bigint) => {
      if (low <= high) last = last.next = { low, high, next: null };
    };
    let i = 0;
    for (const { base, limit } of spans) {
      let low = base;
      for (; i < taken.length; i++) {
        const hole = taken[i];
        if (!hole || hole.base > limit) break;
        append(low, hole.base - 1n);
        if (hole.limit + 1n > low) low = hole.limit + 1n;
        // It may reach into the next span too.
        if (hole.limit > limit) break;
      }
      append(low, limit);
    }
    this.head = first.next;
  }

  /**
   * The lowest address from `low` on where `size` bytes end at or before `high`, with (address - shift) a multiple of
   * `align`; looks from gap `from` on.
   */
  lowest(from: Gap | null, low: bigint, high: bigint, size: bigint, align: bigint, shift: bigint): Fit | null {
    const [last, up, mask] = [size - 1n, align - 1n - shift, -align];
    for (let gap = from; gap !== null && gap.low <= high; gap = gap.next) {
      // Most gaps are too small, or empty: that is seen with the least arithmetic.
      if (gap.high - gap.low < last) continue;
      const at = (((gap.low > low ? gap.low : low) + up) & mask) + shift;
      const end = at + last;
      if (end <= gap.high && end <= high) return { gap, at };
    }
    return null;
  }

  /** The highest multiple of `align` from `low` on where `size` bytes end at or before `high`. */
  highest(low: bigint, high: bigint, size: bigint, align: bigint): Fit | null {
    let found: Fit | null = null;
    for (let gap = this.head; gap !== null && gap.low <= high; gap = gap.next) {
      const end = gap.high < high ? gap.high : high;
      const at = (end + 1n - size) & -align;
      if (at >= gap.low && at >= low) found = { gap, at };
    }
    return found;
  }

  /** Takes `size` bytes at `at` out of `gap`, where a fit was found. */
  take(gap: Gap, at: bigint, size: bigint): void {
    const after = at + size;
    if (at === gap.low) {
      gap.low = after;
      return;
    }
    if (after <= gap.high) gap.next = { low: after, high: gap.high, next: gap.next };
    gap.high = at - 1n;
  }
}
