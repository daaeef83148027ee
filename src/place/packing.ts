import { alignUp, ascending, maxOf, minOf } from '../address/align.js';
import { FreeList } from './free-list.js';
import type { Gap } from './free-list.js';
import type { Item, Span, WindowDemand } from './item.js';
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
/** What every item starts with; never written to. */
const none: never[] = [];
const byBase = (a: Item, b: Item): number => ascending(a.fixed?.base ?? 0n, b.fixed?.base ?? 0n);

/** Where a window grows that has to: its pins have room on both sides. */
type Side = 'above' | 'below';

/** Puts every item into the segments. True: each has its places. */
export function pack(items: readonly Item[], segments: readonly Segment[]): boolean {
  const fixed = items.filter((item) => item.fixed);
  // Windows grow in ascending order. Where they stand close, what lies below one is of no use to the next ones.
  return (
    packAround(items, fixed, segments, 'above') || (fixed.length > 0 && packAround(items, fixed, segments, 'below'))
  );
}

function packAround(items: readonly Item[], fixed: readonly Item[], segments: readonly Segment[], side: Side): boolean {
  for (const item of items) measure(item);
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

/** Starts anew: sizes of windows without pins, and in `runs` where their contents lie in them. */
export function measure(item: Item): void {
  item.left = item.count;
  item.places = none;
  item.runs = none;
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
  let end = 0n;
  fill(items, new FreeList([{ base: 0n, limit: ENDLESS }]), 0n, null, (child, at, count) => {
    const run = { at, count };
    if (child.runs.length === 0) child.runs = [run];
    else child.runs.push(run);
    end = maxOf(end, endOf(child, at, count));
  });
  item.size = alignUp(end, window.granule);
}

/**
 * Takes room for all that is left of the items, at the lowest addresses between `low` and `high`; what finds none stays left.
 * `high` null: these are no addresses yet, and nothing is too high. `put` is told of each run.
 */
function fill(
  items: readonly Item[],
  free: FreeList,
  low: bigint,
  high: bigint | null,
  put: (item: Item, at: bigint, count: number) => void,
): void {
  let last: Item | undefined;
  // No gap before the one that the last of the same shape took fits.
  let from = free.head;
  for (const item of items) {
    const { size, align, ceiling } = item;
    if (last?.size !== size || last.align !== align || last.ceiling !== ceiling) from = free.head;
    last = item;
    const top = high === null ? ENDLESS : minOf(high, ceiling);
    while (item.left > 0) {
      const fit = free.lowest(from, low, top, size, align, 0n);
      from = fit?.gap ?? null;
      if (!fit) break;
      const { gap, at } = fit;
      const count = item.left === 1 ? 1 : Math.min(item.left, Number((minOf(gap.high, top) + 1n - at) / size));
      free.take(gap, at, count === 1 ? size : size * BigInt(count));
      item.left -= count;
      put(item, at, count);
    }
  }
}

/** Gives some of an item their addresses; what is in a window without pins moves along. */
function moveTo(item: Item, at: bigint, count: number): void {
  const run = { at, count };
  if (item.places.length === 0) item.places = [run];
  else item.places.push(run);
  if (!item.window) return;
  for (const child of item.window.items) for (const inside of child.runs) moveTo(child, at + inside.at, inside.count);
}

/** Where a run ends. */
const endOf = ({ size }: Item, at: bigint, count: number): bigint => at + (count === 1 ? size : size * BigInt(count));

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
  item.left = 0;
  item.places = [{ at: fixed.base, count: 1 }];
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
  item.places = [{ at: span.base, count: 1 }];
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
const isComplete = (items: readonly Item[]): boolean => items.every((item) => item.left === 0);

function fillPinned(window: WindowDemand, room: Span, free: FreeList): Span | null {
  const items = freeItems(window);
  fill(items, free, room.base, room.limit, moveTo);
  return isComplete(items) ? room : null;
}

/**
 * Fills the gaps between the pins first, where contents cost nothing, and then the room on either side of them, as near as
 * it can be.
 */
function fillAround(hull: Span, window: WindowDemand, room: Span, free: FreeList, side: Side): Span | null {
  let { base, limit } = hull;
  const put = (item: Item, at: bigint, count: number) => {
    moveTo(item, at, count);
    base = minOf(base, at);
    limit = maxOf(limit, endOf(item, at, count) - 1n);
  };
  const items = freeItems(window);
  const above = () => {
    fill(items, free, hull.limit + 1n, room.limit, put);
  };
  const below = () => {
    for (const item of items) {
      while (item.left > 0) {
        const fit = free.highest(room.base, minOf(hull.base - 1n, item.ceiling), item.size, item.align);
        if (!fit) break;
        free.take(fit.gap, fit.at, item.size);
        item.left--;
        put(item, fit.at, 1);
      }
    }
  };
  fill(items, free, hull.base, hull.limit, put);
  for (const grow of side === 'above' ? [above, below] : [below, above]) grow();
  return isComplete(items) ? { base: base & -window.granule, limit: alignUp(limit + 1n, window.granule) - 1n } : null;
}

/** Puts items without pins on root buses, each at the lowest address of the first type of window that has room. */
function packRoot(items: readonly Item[], segments: readonly Segment[], free: FreeList): boolean {
  const from = new Map<Segment, Gap | null>();
  let last: Item | undefined;
  for (const item of items) {
    if (last?.size !== item.size || last.align !== item.align || last.ceiling !== item.ceiling) from.clear();
    while (item.left > 0) if (!putOnRoot(item, segments, free, from)) return false;
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
      item.left--;
      moveTo(item, fit.at - shift, 1);
      return true;
    }
  }
  return false;
}
