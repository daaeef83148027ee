import { ascending } from '../address/align.js';
import { FreeList } from './free-list.js';
import type { Span } from './item.js';
import type { Part } from './order.js';

export interface LeafPlace {
  readonly part: Part;
  readonly at: bigint;
}

/**
 * Puts leaves into free spans, both ascending; null where they do not fit, in any way. The largest go first, each to the
 * lowest place in the first of its homes that has one.
 *
 * Why this is exact. A place for a leaf is a whole unit of its size, and whole units hold no part of another: whichever a
 * leaf takes, the next ones find as many left. Where some leaves may lie in either of two homes and others in the first
 * alone, those that have the choice leave the shared home to the others: a smaller one that would have gone where such a
 * leaf goes can change places with it.
 */
export function placeLeaves(leaves: readonly Part[], spans: readonly Span[]): LeafPlace[] | null {
  const free = new FreeList(spans);
  const rank = (part: Part) => part.leaf?.rank ?? 0;
  const sorted = [...leaves].sort((a, b) => ascending(b.unit, a.unit) || rank(a) - rank(b));
  const places: LeafPlace[] = [];
  for (const part of sorted) {
    const at = takePlace(free, part.leaf?.homes ?? [spans], part.unit);
    if (at === null) return null;
    places.push({ part, at });
  }
  return places.sort((a, b) => ascending(a.at, b.at));
}

function takePlace(free: FreeList, homes: readonly (readonly Span[])[], size: bigint): bigint | null {
  for (const home of homes) {
    for (const { base, limit } of home) {
      const fit = free.lowest(free.head, base, limit, size, size, 0n);
      if (!fit) continue;
      free.take(fit.gap, fit.at, size);
      return fit.at;
    }
  }
  return null;
}
