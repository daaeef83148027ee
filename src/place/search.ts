import { maxOf, minOf } from '../address/align.js';
import type { Budget } from './budget.js';
import type { Item, Span } from './item.js';
import type { Leaf, Part } from './order.js';
import type { BarType } from '../machine/model.js';
import { findOrder } from './find-order.js';
import { measure, unionOf } from './packing.js';
import { cappedAt } from './tally.js';
import { commit, mayFit, partOf } from './parts.js';
import type { Segment } from './segments.js';

/*
 * The exact search. A bridge window is one piece of the line of addresses, and of all that goes on inside it only its end
 * matters to what comes after; so each window is an ordering problem of its own (`order.ts`), asked for its lowest end from
 * a given start. The root buses are one more, over the usable segments of all host bridges, by CPU address.
 */

/** How far to go: count, search for an order of what is fixed, or of all. Each rules out more, and takes longer. */
export const depths = ['count', 'fixed', 'all'] as const;
export type Depth = (typeof depths)[number];

/**
 * False: the items cannot all be put into the segments. True: they have been put there (with the windows that they are in),
 * or, where it does not go to the end, they may fit.
 * @throws OutOfBudget
 */
export function search(items: readonly Item[], segments: readonly Segment[], budget: Budget, depth: Depth): boolean {
  if (items.length === 0) return true;
  for (const item of items) measure(item);
  const spans = unionOf(segments);
  const end = (spans.at(-1)?.limit ?? -1n) + 1n;
  const rooms = new Rooms(spans, segments);
  const parts = items.map((item) => rootPart(item, segments, rooms, budget));
  const line = { start: spans[0]?.base ?? 0n, end, any: true, rooms: rooms.list };
  if (!mayFit(parts, spans, rooms.list)) return false;
  if (depth === 'count') return true;
  const fixed = parts.filter((part) => part.fixed);
  if (fixed.length < parts.length && !findOrder(fixed, line, budget)) return false;
  if (depth === 'fixed') return true;
  const order = findOrder(parts, line, budget);
  if (!order) return false;
  commit(order, line.start);
  return true;
}

/** The ranges that items of root buses share: all together, and those of one host bridge and set of window types. */
class Rooms {
  readonly list: (readonly Span[])[];
  readonly #byKey = new Map<string, number>();

  constructor(
    all: readonly Span[],
    private readonly segments: readonly Segment[],
  ) {
    this.list = [all];
  }

  of(host: number, tracks: readonly BarType[]): readonly number[] {
    const both = tracks.length > 1 ? [] : [this.#room(host, tracks)];
    return [0, this.#room(host, ['mem64', 'mem32', 'io']), ...both];
  }

  #room(host: number, tracks: readonly BarType[]): number {
    const key = `${host} ${tracks.join()}`;
    let room = this.#byKey.get(key);
    if (room === undefined) {
      const own = this.segments.filter((segment) => segment.host === host && tracks.includes(segment.type));
      room = this.list.push(unionOf(own)) - 1;
      this.#byKey.set(key, room);
    }
    return room;
  }
}

/** An item on a root bus: in the segment that lets it end lowest, by CPU address. */
function rootPart(item: Item, segments: readonly Segment[], rooms: Rooms, budget: Budget): Part {
  // Of a leaf `leafOf` finds out where it may lie.
  const inner = partOf(item, 0n, budget);
  const mine = segments.filter((segment) => segment.host === item.host && item.tracks.includes(segment.type));
  const place = (cursor: bigint): { start: bigint; end: bigint } | null => {
    let best: { start: bigint; end: bigint } | null = null;
    for (const { base, limit, shift } of mine) {
      if (best && base + shift >= best.end) break;
      const start = cursor - shift > base ? cursor - shift : base;
      if (start > limit || (inner.fixed && (inner.fixed.base < start || inner.fixed.limit > limit))) continue;
      const end = inner.end(start);
      if (end === null || end - 1n > limit) continue;
      if (!best || end + shift < best.end) best = { start, end: end + shift };
    }
    return best;
  };
  const { fixed } = inner;
  const home = fixed && mine.find((segment) => segment.base <= fixed.base && fixed.limit <= segment.limit);
  const shift = home?.shift ?? 0n;
  // Segments of one bus address space may be shifted against each other; what holds for each holds for their sum.
  const unit = mine.reduce((least, { shift: by }) => (by === 0n ? least : minOf(least, by & -by)), 1n << 80n);
  const straight = inner.unit <= unit;
  return {
    ...(inner.leaf && straight ? leafOf(item, mine) : {}),
    rigid: inner.rigid,
    key: inner.key === null ? null : `${item.tracks.join()} ${inner.key}`,
    fixed: fixed && { base: fixed.base + shift, limit: fixed.limit + shift },
    least: inner.least,
    unit: straight ? inner.unit : 1n,
    needs: cappedAt(inner.needs, unit),
    mayLie: (low, high) => {
      if (!home) return false;
      const [from, to] = [maxOf(low - shift, home.base), minOf(high - shift, home.limit)];
      return from <= to && inner.mayLie(from, to);
    },
    rooms: rooms.of(item.host, item.tracks),
    end: (cursor) => place(cursor)?.end ?? null,
    commit: (cursor) => {
      const found = place(cursor);
      if (found) inner.commit(found.start);
    },
  };
}

/** A leaf on a root bus: it may lie in segments of one type, or of two. */
function leafOf(item: Item, segments: readonly Segment[]): { leaf?: Leaf } {
  const ceiling = item.window?.ceiling ?? item.ceiling;
  const reached = segments.filter(({ base }) => base <= ceiling);
  // Reaching a part of a segment is a case of its own, which is none of the usual ones.
  if (reached.some(({ limit }) => limit > ceiling)) return {};
  const homes = item.tracks.flatMap((type) => {
    const own = reached.filter((segment) => segment.type === type);
    return own.length > 0
      ? [own.map(({ base, limit, shift }): Span => ({ base: base + shift, limit: limit + shift }))]
      : [];
  });
  const [first = [], second = []] = homes;
  const isApart = !first.some((a) => second.some((b) => a.base <= b.limit && b.base <= a.limit));
  return { leaf: { group: item.host, rank: homes.length - 1, homes: isApart ? homes : null } };
}
