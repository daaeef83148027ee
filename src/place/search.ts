import { alignUp, minOf } from '../address/align.js';
import type { Budget } from './budget.js';
import type { Item, Span, WindowDemand } from './item.js';
import type { Order, Part } from './order.js';
import type { BarType } from '../machine/model.js';
import { findOrder } from './order.js';
import { unionOf } from './packing.js';
import type { Segment } from './segments.js';

/*
 * The exact search. A bridge window is one piece of the line of addresses, and of all that goes on inside it only its end
 * matters to what comes after; so each window is an ordering problem of its own (`order.ts`), asked for its lowest end from
 * a given start. The root buses are one more, over the usable segments of all host bridges, by CPU address.
 */

/** Puts every item into the segments if that can be done at all (with the windows that the items are in). */
export function search(items: readonly Item[], segments: readonly Segment[], budget: Budget): boolean {
  if (items.length === 0) return true;
  const spans = unionOf(segments);
  const end = (spans.at(-1)?.limit ?? -1n) + 1n;
  const rooms = new Rooms(spans, segments);
  const parts = items.map((item) => rootPart(item, segments, rooms, budget));
  const order = findOrder(parts, { start: spans[0]?.base ?? 0n, end, any: true, rooms: rooms.list }, budget);
  if (!order) return false;
  commit(order, spans[0]?.base ?? 0n);
  return true;
}

function commit(order: Order, start: bigint): void {
  let cursor = start;
  for (const part of order.parts) {
    const end = part.end(cursor);
    part.commit(cursor);
    cursor = end ?? cursor;
  }
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

/** An item as a part of the line of bus addresses inside a window. */
function partOf(item: Item, budget: Budget): Part {
  return item.window ? new WindowPart(item, item.window, budget) : new PlainPart(item);
}

class PlainPart implements Part {
  readonly leaf?: { readonly group: number; readonly rank: number };
  readonly key: string | null;
  readonly fixed: Span | null;
  readonly least: bigint;
  readonly unit: bigint;

  constructor(private readonly item: Item) {
    this.key = item.fixed ? null : `${item.host} ${item.size}/${item.align}<${item.ceiling}`;
    this.fixed = item.fixed;
    this.least = item.size;
    this.unit = item.align;
    if (!item.fixed && item.size === item.align) this.leaf = { group: item.host, rank: 0 };
  }

  end(cursor: bigint): bigint | null {
    const at = this.#at(cursor);
    const end = at + this.item.size;
    return at < cursor || (at & (this.item.align - 1n)) !== 0n || end - 1n > this.item.ceiling ? null : end;
  }

  commit(cursor: bigint): void {
    this.item.places = [this.#at(cursor)];
  }

  #at(cursor: bigint): bigint {
    return this.fixed?.base ?? alignUp(cursor, this.item.align);
  }
}

class WindowPart implements Part {
  readonly key: string | null;
  readonly fixed: Span | null;
  readonly least: bigint;
  readonly unit: bigint;
  readonly grows: boolean;
  readonly #parts: readonly Part[];
  /** A layout without anything fixed or lower limits inside repeats when its start moves by this; null: it does not. */
  readonly #period: bigint | null;
  readonly #found = new Map<bigint, Order | null>();

  constructor(
    private readonly item: Item,
    private readonly window: WindowDemand,
    private readonly budget: Budget,
  ) {
    this.#parts = window.items.map((child) => partOf(child, budget));
    const { granule } = window;
    const sum = this.#parts.reduce((total, part) => total + part.least, 0n);
    this.fixed = item.fixed;
    this.grows = item.fixed !== null && !window.pin;
    const fixedSize = this.fixed ? this.fixed.limit - this.fixed.base + 1n : 0n;
    this.least = alignUp(sum > fixedSize ? sum : fixedSize, granule);
    this.unit = granule;
    this.#period = item.fixed || !isUniform(window.items, window.ceiling) ? null : periodOf(item);
    this.key = this.fixed ? null : `${item.host} ${shapeOf(item)}`;
  }

  end(cursor: bigint): bigint | null {
    const { pin, granule, ceiling } = this.window;
    if (pin) {
      const aligned = ((pin.base | (pin.limit + 1n)) & (granule - 1n)) === 0n;
      return aligned && cursor <= pin.base && pin.limit <= ceiling && this.#order(pin.base) ? pin.limit + 1n : null;
    }
    const start = alignUp(cursor, granule);
    const order = this.#order(start);
    if (!order) return null;
    const end = alignUp(start + order.end, granule);
    return end - 1n > ceiling ? null : end;
  }

  commit(cursor: bigint): void {
    const { pin, granule } = this.window;
    const start = pin?.base ?? alignUp(cursor, granule);
    const order = this.#order(start);
    if (!order) return;
    commit(order, start);
    if (pin) {
      this.item.places = [pin.base];
      this.item.size = pin.limit - pin.base + 1n;
      return;
    }
    const lowest = (low: bigint, child: Item) => minOf(low, child.places[0] ?? low);
    const base = this.window.items.reduce(lowest, start + order.end) & -granule;
    this.item.places = [base];
    this.item.size = alignUp(start + order.end, granule) - base;
  }

  /** The best order from `start`; its end counts from `start`. */
  #order(start: bigint): Order | null {
    const { pin, ceiling } = this.window;
    const limit = (pin?.limit ?? ceiling) + 1n;
    const period = this.#period;
    const key = period === null ? start : start & (period - 1n);
    let found = this.#found.get(key);
    if (found === undefined) {
      const end = period === null ? limit : key + (1n << 80n);
      const order = findOrder(this.#parts, { start: key, end, any: pin !== undefined }, this.budget);
      found = order && { parts: order.parts, end: order.end - key };
      this.#found.set(key, found);
    }
    return found && start + found.end <= limit ? found : null;
  }
}

/** Nothing inside has a ceiling below the window's. */
const isUniform = (items: readonly Item[], ceiling: bigint): boolean =>
  items.every(
    (item) =>
      (item.window?.ceiling ?? item.ceiling) >= ceiling && (!item.window || isUniform(item.window.items, ceiling)),
  );

/** The largest alignment inside. */
function periodOf(item: Item): bigint {
  const window = item.window;
  if (!window) return item.align;
  return window.items.reduce((most, child) => {
    const period = periodOf(child);
    return period > most ? period : most;
  }, window.granule);
}

/** Windows with one shape can stand for each other. */
function shapeOf(item: Item): string {
  const window = item.window;
  if (!window) return `${item.size}/${item.align}<${item.ceiling}`;
  const inside = window.items.map(shapeOf).sort();
  return `${window.granule}<${window.ceiling}(${inside.join(' ')})`;
}

/** An item on a root bus: in the segment that lets it end lowest, by CPU address. */
function rootPart(item: Item, segments: readonly Segment[], rooms: Rooms, budget: Budget): Part {
  const inner = partOf(item, budget);
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
  const home =
    inner.fixed && mine.find((s) => s.base <= (inner.fixed?.base ?? 0n) && (inner.fixed?.limit ?? 0n) <= s.limit);
  const shift = home?.shift ?? 0n;
  // Segments of one bus address space may be shifted against each other; what holds for each holds for their sum.
  const straight = mine.every((segment) => (segment.shift & (inner.unit - 1n)) === 0n);
  return {
    ...(inner.leaf && straight ? { leaf: { group: item.host, rank: item.tracks.length - 1 } } : {}),
    ...(inner.grows ? { grows: true } : {}),
    key: inner.key === null ? null : `${item.tracks.join()} ${inner.key}`,
    fixed: inner.fixed && { base: inner.fixed.base + shift, limit: inner.fixed.limit + shift },
    least: inner.least,
    unit: straight ? inner.unit : 1n,
    rooms: rooms.of(item.host, item.tracks),
    end: (cursor) => place(cursor)?.end ?? null,
    commit: (cursor) => {
      const found = place(cursor);
      if (found) inner.commit(found.start);
    },
  };
}
