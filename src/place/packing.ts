import { alignUp, ascending, maxOf, minOf } from '../address/align.js';
import type { Item, Span, WindowDemand } from './demand.js';
import type { Fit, Gap } from './free-list.js';
import { FreeList } from './free-list.js';
import type { Segment } from './segments.js';

/*
 * The fast path: largest first at the lowest address that fits, windows as small as that makes them. It finds the
 * layout that people expect, in about the time that sorting takes. It may miss one: `search.ts` does not.
 */

/** Far above any sum of sizes: a window without pins is laid out from 0 first, and moved to its address afterwards. */
const ENDLESS = 1n << 80n;

/** Largest alignment first, then largest size; the sort is stable, so that bus order breaks ties. */
const bySize = (a: Item, b: Item): number =>
  a.align === b.align ? (a.size === b.size ? 0 : a.size < b.size ? 1 : -1) : a.align < b.align ? 1 : -1;
const byBase = (a: Item, b: Item): number => ascending(a.fixed?.base ?? 0n, b.fixed?.base ?? 0n);

/** Where a window grows that has to: its pins have room on both sides. */
type Side = 'above' | 'below';

/** Puts every item into the segments. True: each has its `at`. */
export function pack(items: readonly Item[], segments: readonly Segment[]): boolean {
  for (const item of items) measure(item);
  const fixed = items.filter((item) => item.fixed);
  // Windows grow in ascending order. Where they stand close, what lies below one is of no use to the next ones.
  return (
    packAround(items, fixed, segments, 'above') || (fixed.length > 0 && packAround(items, fixed, segments, 'below'))
  );
}

function packAround(items: readonly Item[], fixed: readonly Item[], segments: readonly Segment[], side: Side): boolean {
  const taken = settleRoot(fixed, segments, side);
  if (!taken) return false;
  const free = new FreeList(unionOf(segments), taken);
  // What fits in few places goes before what fits in many.
  for (const wide of [false, true]) {
    const group = items.filter((item) => !item.fixed && item.tracks.length > 1 === wide).sort(bySize);
    if (!packRoot(group, segments, free)) return false;
  }
  return true;
}

/** CPU addresses of the segments, joined where they overlap or touch. */
export function unionOf(segments: readonly Segment[]): Span[] {
  const spans: { base: bigint; limit: bigint }[] = [];
  for (const { base, limit, shift } of segments) {
    const last = spans.at(-1);
    if (!last || base + shift > last.limit + 1n) spans.push({ base: base + shift, limit: limit + shift });
    else if (limit + shift > last.limit) last.limit = limit + shift;
  }
  return spans;
}

/** Sizes of windows without pins, and in `offset` where their contents lie in them. */
function measure(item: Item): void {
  const window = item.window;
  if (!window) return;
  let ceiling = window.ceiling;
  for (const child of window.items) {
    measure(child);
    if (!child.fixed) ceiling = minOf(ceiling, child.ceiling);
  }
  if (item.fixed) return;
  item.ceiling = ceiling;
  layOut(item, window);
}

function layOut(item: Item, window: WindowDemand): void {
  const items = window.items.toSorted(bySize);
  item.align = items[0] && items[0].align > window.granule ? items[0].align : window.granule;
  const free = new FreeList([{ base: 0n, limit: ENDLESS }]);
  let end = 0n;
  fill(
    items,
    (child, from) => {
      const fit = free.lowest(from, 0n, ENDLESS, child.size, child.align, 0n);
      if (!fit) return null;
      free.take(fit.gap, fit.at, child.size);
      child.offset = fit.at;
      if (fit.at + child.size > end) end = fit.at + child.size;
      return fit.gap;
    },
    free.head,
  );
  item.size = alignUp(end, window.granule);
}

/**
 * Calls `put` for each item with the gap to look from: no gap before the one that the last of the same shape took fits.
 * The items for which it found no gap.
 */
function fill(items: readonly Item[], put: (item: Item, from: Gap | null) => Gap | null, head: Gap | null): Item[] {
  const left: Item[] = [];
  let last: Item | undefined;
  let from = head;
  for (const item of items) {
    if (last?.size !== item.size || last.align !== item.align || last.ceiling !== item.ceiling) from = head;
    last = item;
    if (from) from = put(item, from);
    if (!from) left.push(item);
  }
  return left;
}

/** Gives a window without pins, or anything else, its address; contents move along. */
function moveTo(item: Item, at: bigint): void {
  item.at = at;
  if (item.window) for (const child of item.window.items) moveTo(child, at + child.offset);
}

/** Puts what is pinned on root buses, and windows around pins with all that they hold. The CPU addresses taken, or null. */
function settleRoot(fixed: readonly Item[], segments: readonly Segment[], side: Side): Span[] | null {
  const homes: { item: Item; segment: Segment; base: bigint; limit: bigint }[] = [];
  for (const item of fixed) {
    const span = item.fixed;
    const segment = span && homeOf(item, span, segments);
    if (!segment) return null;
    homes.push({ item, segment, base: span.base + segment.shift, limit: span.limit + segment.shift });
  }
  homes.sort((a, b) => ascending(a.base, b.base));
  const taken: Span[] = [];
  let free = 0n;
  for (const [i, { item, segment, base, limit }] of homes.entries()) {
    const next = homes[i + 1]?.base;
    if (base < free || (next !== undefined && next <= limit)) return null;
    const { shift } = segment;
    const low = free - shift > segment.base ? free - shift : segment.base;
    const high = next === undefined ? segment.limit : minOf(segment.limit, next - shift - 1n);
    const span = settle(item, low, high, side);
    if (!span) return null;
    taken.push({ base: span.base + shift, limit: span.limit + shift });
    free = span.limit + shift + 1n;
  }
  return taken;
}

function homeOf(item: Item, span: Span, segments: readonly Segment[]): Segment | undefined {
  for (const type of item.tracks) {
    const home = segments.find(
      (segment) =>
        segment.host === item.host && segment.type === type && segment.base <= span.base && span.limit <= segment.limit,
    );
    if (home) return home;
  }
  return undefined;
}

/**
 * Puts an item that cannot move, and the contents of a window around them, between `low` and `high`. The range that it
 * takes, or null where that fails.
 */
function settle(item: Item, low: bigint, high: bigint, side: Side): Span | null {
  const { fixed, window } = item;
  if (!fixed || fixed.base < low || fixed.limit > high) return null;
  if (!window) return (fixed.base & (item.align - 1n)) === 0n && fixed.limit <= item.ceiling ? fixed : null;
  const { granule, pin } = window;
  if (pin && ((pin.base | (pin.limit + 1n)) & (granule - 1n)) !== 0n) return null;
  const room: Span = pin ?? {
    base: alignUp(low, granule),
    limit: ((minOf(high, window.ceiling) + 1n) & -granule) - 1n,
  };
  if (room.limit > window.ceiling || fixed.base < room.base || fixed.limit > room.limit) return null;
  const taken = settleInside(window, room, side);
  if (!taken) return null;
  const free = new FreeList([room], taken);
  const [first, last] = [taken[0], taken.at(-1)];
  const hull = first && last && { base: first.base & -granule, limit: alignUp(last.limit + 1n, granule) - 1n };
  const span = pin ? fillPinned(window, room, free) : hull ? fillAround(hull, window, room, free, side) : null;
  if (!span) return null;
  item.at = span.base;
  item.size = span.limit - span.base + 1n;
  return span;
}

function settleInside(window: WindowDemand, room: Span, side: Side): Span[] | null {
  const fixed = window.items.filter((item) => item.fixed).sort(byBase);
  const taken: Span[] = [];
  let low = room.base;
  for (const [i, item] of fixed.entries()) {
    const next = fixed[i + 1]?.fixed?.base;
    const span = settle(item, low, next === undefined ? room.limit : minOf(room.limit, next - 1n), side);
    if (!span) return null;
    taken.push(span);
    low = span.limit + 1n;
  }
  return taken;
}

const freeItems = (window: WindowDemand): Item[] => window.items.filter((item) => !item.fixed).sort(bySize);

function fillPinned(window: WindowDemand, room: Span, free: FreeList): Span | null {
  const put = (item: Item, from: Gap | null): Gap | null => {
    const fit = free.lowest(from, room.base, minOf(room.limit, item.ceiling), item.size, item.align, 0n);
    if (!fit) return null;
    free.take(fit.gap, fit.at, item.size);
    moveTo(item, fit.at);
    return fit.gap;
  };
  return fill(freeItems(window), put, free.head).length === 0 ? room : null;
}

/**
 * Fills the gaps between the pins first, where contents cost nothing, and then the room on either side of them, as near as
 * it can be.
 */
function fillAround(hull: Span, window: WindowDemand, room: Span, free: FreeList, side: Side): Span | null {
  let { base, limit } = hull;
  const put = (item: Item, fit: Fit | null): Gap | null => {
    if (!fit) return null;
    free.take(fit.gap, fit.at, item.size);
    moveTo(item, fit.at);
    base = minOf(base, fit.at);
    limit = maxOf(limit, fit.at + item.size - 1n);
    return fit.gap;
  };
  const inside = (item: Item, from: Gap | null, low: bigint, high: bigint) =>
    put(item, free.lowest(from, low, minOf(high, item.ceiling), item.size, item.align, 0n));
  const below = (item: Item) => {
    return put(item, free.highest(room.base, minOf(hull.base - 1n, item.ceiling), item.size, item.align));
  };
  const left = fill(freeItems(window), (item, from) => inside(item, from, hull.base, hull.limit), free.head);
  const lefter = side === 'above' ? left : left.filter((item) => !below(item));
  const leftest = fill(lefter, (item, from) => inside(item, from, hull.limit + 1n, room.limit), free.head);
  if (!(side === 'above' ? leftest.every(below) : leftest.length === 0)) return null;
  return { base: base & -window.granule, limit: alignUp(limit + 1n, window.granule) - 1n };
}

/** Puts items without pins on root buses, each at the lowest address of the first type of window that has room. */
function packRoot(items: readonly Item[], segments: readonly Segment[], free: FreeList): boolean {
  const from = new Map<Segment, Gap | null>();
  let last: Item | undefined;
  for (const item of items) {
    if (last?.size !== item.size || last.align !== item.align || last.ceiling !== item.ceiling) from.clear();
    if (!putOnRoot(item, segments, free, from)) return false;
    last = item;
  }
  return true;
}

function putOnRoot(item: Item, segments: readonly Segment[], free: FreeList, from: Map<Segment, Gap | null>): boolean {
  for (const type of item.tracks) {
    for (const segment of segments) {
      if (segment.host !== item.host || segment.type !== type) continue;
      const { shift } = segment;
      const start = from.get(segment) === undefined ? free.head : (from.get(segment) ?? null);
      const high = minOf(segment.limit, item.ceiling) + shift;
      const fit = free.lowest(start, segment.base + shift, high, item.size, item.align, shift);
      from.set(segment, fit ? fit.gap : null);
      if (!fit) continue;
      free.take(fit.gap, fit.at, item.size);
      moveTo(item, fit.at - shift);
      return true;
    }
  }
  return false;
}
