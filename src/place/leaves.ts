import { ascending } from '../address/align.js';
import { FreeList } from './free-list.js';
import type { Span } from './item.js';
import type { Leaf, Part } from './order.js';

/**
 * Whether these leaves differ in their rank at the most: all are of one group, what is a home of some is one of all or lies
 * apart from all of theirs, and there is one home that some have a choice to leave, at the most. Then a leaf can change
 * places with smaller ones where its rank is not above theirs.
 */
export function areAlike(leaves: readonly Leaf[]): boolean {
  const homes = new Map<string, readonly Span[]>();
  const choices = new Set<string>();
  const fixed = new Set<string>();
  for (const leaf of leaves) {
    if (leaf.group !== leaves[0]?.group || leaf.homes === null) return false;
    const keys = (leaf.homes ?? []).map((spans) => {
      const key = spans.map(({ base, limit }) => `${base}-${limit}`).join();
      homes.set(key, spans);
      return key;
    });
    if (keys.length > 1) choices.add(keys.join(' '));
    else for (const key of keys) fixed.add(key);
  }
  const [choice] = choices;
  if (choices.size > 1 || (choice && fixed.has(choice.slice(0, choice.indexOf(' '))))) return false;
  return areApart([...homes.values()]);
}

/** No span of one list overlaps one of another. */
const areApart = (lists: readonly (readonly Span[])[]): boolean =>
  lists.every((spans, i) =>
    lists.slice(0, i).every((others) => !spans.some((a) => others.some((b) => a.base <= b.limit && b.base <= a.limit))),
  );

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
 * leaf goes can change places with it. The leaves have to be alike ({@link areAlike}).
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
