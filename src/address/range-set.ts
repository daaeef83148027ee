import { AddressRange } from './range.js';
import { ascending } from './align.js';

/** Disjoint ranges in ascending order, neighbours joined. A value: every operation makes a new one. */
export class RangeSet implements Iterable<AddressRange> {
  static readonly empty = new RangeSet([]);

  private constructor(readonly ranges: readonly AddressRange[]) {}

  static of(ranges: Iterable<AddressRange>): RangeSet {
    const sorted = [...ranges].sort((a, b) => ascending(a.base, b.base));
    const joined: AddressRange[] = [];
    for (const range of sorted) {
      const last = joined.at(-1);
      if (last && range.base <= last.limit + 1n) joined[joined.length - 1] = last.hull(range);
      else joined.push(range);
    }
    return new RangeSet(joined);
  }

  [Symbol.iterator](): Iterator<AddressRange> {
    return this.ranges[Symbol.iterator]();
  }

  get size(): bigint {
    return this.ranges.reduce((sum, range) => sum + range.size, 0n);
  }

  union(other: Iterable<AddressRange>): RangeSet {
    return RangeSet.of([...this.ranges, ...other]);
  }

  meet(window: AddressRange): RangeSet {
    return new RangeSet(this.ranges.flatMap((range) => range.meet(window) ?? []));
  }

  subtract(other: Iterable<AddressRange>): RangeSet {
    const holes = RangeSet.of(other).ranges;
    const left: AddressRange[] = [];
    let first = 0;
    for (const range of this.ranges) {
      let base = range.base;
      while (first < holes.length && (holes[first]?.limit ?? 0n) < range.base) first++;
      let done = false;
      for (let i = first; i < holes.length; i++) {
        const hole = holes[i];
        if (!hole || hole.base > range.limit) break;
        if (hole.base > base) left.push(AddressRange.of(base, hole.base - 1n));
        base = hole.limit + 1n;
        if (base > range.limit) {
          done = true;
          break;
        }
      }
      if (!done) left.push(AddressRange.of(base, range.limit));
    }
    return new RangeSet(left);
  }

  /** The range that holds `address`, if any: binary search. */
  find(address: bigint): AddressRange | undefined {
    let low = 0;
    let high = this.ranges.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const range = this.ranges[middle];
      if (!range) return undefined;
      if (address < range.base) high = middle - 1;
      else if (address > range.limit) low = middle + 1;
      else return range;
    }
    return undefined;
  }

  covers(range: AddressRange): boolean {
    return this.find(range.base)?.covers(range) ?? false;
  }

  overlaps(range: AddressRange): boolean {
    return this.ranges.some((own) => own.overlaps(range));
  }
}
