import type { Span } from './item.js';
import type { Need } from './tally.js';

/**
 * Something that takes a range on a line (addresses, or bus numbers) in one piece: a BAR, a bridge window with all that is
 * in it, a subtree's bus numbers.
 */
export interface Part {
  /** Parts with the same key can stand for each other. Null: there is no other like it. */
  readonly key: string | null;
  /** Where a part lies that cannot move, or that holds something that cannot; such parts have one order. */
  readonly fixed: { readonly base: bigint; readonly limit: bigint } | null;
  /** What it takes at the least. */
  readonly least: bigint;
  /** It starts at a multiple of this. */
  readonly unit: bigint;
  /** What it takes at the least, by size class; of a fixed part what it takes beside `fixed`. */
  readonly needs: readonly Need[];
  /**
   * The lowest possible end (one past the last address) when nothing of it lies below `cursor`; null where it fits nowhere.
   * Never falls when `cursor` rises.
   */
  end(cursor: bigint): bigint | null;
  /** Puts it where `end(cursor)` says. */
  commit(cursor: bigint): void;
  /** Of a fixed part: false where counting alone says that it cannot lie between these, both included. */
  mayLie?(low: bigint, high: bigint): boolean;
  /** A fixed part that takes `fixed` and no more, if it can be placed at all. */
  readonly rigid?: boolean;
  /**
   * Of a part that is as large as its unit, a power of two, at a place that is as good as any other for those of the same
   * `group` and of the same or a higher `rank`. `homes`: where it may lie, the first of them where it can be; the line where
   * there are none; null where they overlap.
   */
  readonly leaf?: Leaf;
  /** Of {@link Line.rooms}, by index, those that it lies in wherever it lies. */
  readonly rooms?: readonly number[];
}

export interface Leaf {
  readonly group: number;
  readonly rank: number;
  readonly homes?: readonly (readonly Span[])[] | null;
}

export interface Line {
  readonly start: bigint;
  /** One past the last address. */
  readonly end: bigint;
  /** Ranges, ascending and disjoint, that only some of the parts may use. */
  readonly rooms?: readonly (readonly Span[])[];
  /** True: the first order that fits will do. False: the one that ends lowest. */
  readonly any: boolean;
}

export interface Order {
  readonly end: bigint;
  readonly parts: readonly Part[];
}
