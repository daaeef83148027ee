import { alignUp, ascending, minOf } from '../address/align.js';
import type { Budget } from './budget.js';
import type { Item, Span, WindowDemand } from './item.js';
import type { Leaf, Order, Part } from './order.js';
import { findOrder } from './find-order.js';
import type { Need } from './tally.js';
import { bytesOf, fitsSome, needsOfPiece, needsOfWindow, overflow, Room, without } from './tally.js';

/** Puts everything where the order says. */
export function commit(order: Order, start: bigint): void {
  let cursor = start;
  for (const part of order.parts) {
    const end = part.end(cursor);
    part.commit(cursor);
    cursor = end ?? cursor;
  }
}

/** An item as a part of a line of bus addresses that ends at `ceiling`. */
export function partOf(item: Item, ceiling: bigint, budget: Budget): PlainPart | WindowPart {
  return item.window ? new WindowPart(item, item.window, ceiling, budget) : new PlainPart(item, ceiling);
}

/** A piece that is as long wherever it starts at a multiple of its unit, and starts nowhere else. */
interface Piece {
  readonly size: bigint;
  readonly unit: bigint;
}

class PlainPart implements Part {
  readonly leaf?: Leaf;
  readonly piece: Piece | null;
  readonly key: string | null;
  readonly fixed: Span | null;
  readonly least: bigint;
  readonly unit: bigint;
  readonly needs: readonly Need[];
  readonly rigid: boolean;

  constructor(
    private readonly item: Item,
    lineCeiling: bigint,
  ) {
    this.key = item.fixed ? null : `${item.host} ${item.size}/${item.align}<${item.ceiling}`;
    this.fixed = item.fixed;
    this.least = item.size;
    this.unit = item.align;
    this.needs = item.fixed ? [] : needsOfPiece(item.size, item.align);
    this.rigid = item.fixed !== null;
    this.piece = item.fixed ? null : { size: item.size, unit: item.align };
    if (!item.fixed && item.size === item.align && item.ceiling >= lineCeiling)
      this.leaf = { group: item.host, rank: 0 };
  }

  end(cursor: bigint): bigint | null {
    const at = this.#at(cursor);
    const end = at + this.item.size;
    return at < cursor || (at & (this.item.align - 1n)) !== 0n || end - 1n > this.item.ceiling ? null : end;
  }

  commit(cursor: bigint): void {
    this.item.places = [{ at: this.#at(cursor), count: 1 }];
  }

  mayLie(low: bigint, high: bigint): boolean {
    const end = this.end(low);
    return end !== null && end - 1n <= high;
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
  readonly needs: readonly Need[];
  readonly rigid: boolean;
  readonly leaf?: Leaf;
  readonly piece: Piece | null;
  readonly #parts: readonly (PlainPart | WindowPart)[];
  /** A layout without anything fixed or lower limits inside repeats when its start moves by this; null: it does not. */
  readonly #period: bigint | null;
  readonly #found = new Map<bigint, Order | null>();

  constructor(
    private readonly item: Item,
    private readonly window: WindowDemand,
    lineCeiling: bigint,
    private readonly budget: Budget,
  ) {
    this.#parts = window.items.map((child) => partOf(child, window.ceiling, budget));
    const { granule } = window;
    this.fixed = item.fixed;
    this.rigid = item.fixed !== null && (window.pin !== undefined || this.#parts.every(({ rigid }) => rigid));
    const inside = this.#parts.flatMap(({ needs }) => needs);
    if (item.fixed) {
      const free = without([item.fixed], this.#taken());
      this.needs = window.pin ? [] : overflow(inside, free, granule);
      this.least = item.fixed.limit - item.fixed.base + 1n + bytesOf(this.needs);
    } else {
      this.needs = needsOfWindow(inside, granule);
      this.least = bytesOf(this.needs);
    }
    this.#period = item.fixed || !isUniform(window.items, window.ceiling) ? null : periodOf(item);
    this.piece = this.#period === null ? null : this.#pieceOf(this.#period);
    this.unit = this.piece?.unit ?? granule;
    if (this.piece?.size === this.unit && window.ceiling >= lineCeiling) this.leaf = { group: item.host, rank: 0 };
    const shape = this.piece ? `${this.piece.size}/${this.unit}<${window.ceiling}` : shapeOf(item);
    this.key = this.fixed ? null : `${item.host} ${shape}`;
  }

  /** Where nothing inside is larger than a granule, or all is of one unit, it makes no difference where the window starts. */
  #pieceOf(period: bigint): Piece | null {
    const { granule } = this.window;
    const unit = this.#parts[0]?.piece?.unit ?? granule;
    if (unit > granule && this.#parts.every(({ piece }) => piece?.unit === unit)) return { size: this.least, unit };
    // `pack` has measured it: it is as small as it can be.
    return period === granule && this.item.size === this.least ? { size: this.least, unit: granule } : null;
  }

  end(cursor: bigint): bigint | null {
    const { pin, granule, ceiling } = this.window;
    if (pin) {
      const aligned = ((pin.base | (pin.limit + 1n)) & (granule - 1n)) === 0n;
      return aligned && cursor <= pin.base && pin.limit <= ceiling && this.#order(pin.base) ? pin.limit + 1n : null;
    }
    if (this.piece) {
      const end = alignUp(cursor, this.piece.unit) + this.piece.size;
      return end - 1n > ceiling ? null : end;
    }
    const start = alignUp(cursor, granule);
    const order = this.#order(start);
    if (!order) return null;
    const end = alignUp(start + order.end, granule);
    return end - 1n > ceiling ? null : end;
  }

  commit(cursor: bigint): void {
    const { pin, granule } = this.window;
    const start = pin?.base ?? alignUp(cursor, this.unit);
    const order = this.#order(start);
    if (!order) return;
    commit(order, start);
    if (pin) {
      this.item.places = [{ at: pin.base, count: 1 }];
      this.item.size = pin.limit - pin.base + 1n;
      return;
    }
    const lowest = (low: bigint, child: Item) => minOf(low, child.places[0]?.at ?? low);
    const base = this.window.items.reduce(lowest, start + order.end) & -granule;
    this.item.places = [{ at: base, count: 1 }];
    this.item.size = alignUp(start + order.end, granule) - base;
  }

  mayLie(low: bigint, high: bigint): boolean {
    const { pin, granule, ceiling } = this.window;
    const top = minOf(high, ceiling);
    const room = pin ?? { base: alignUp(low, granule), limit: ((top + 1n) & -granule) - 1n };
    if (room.base < low || room.limit > top || ((room.base | (room.limit + 1n)) & (granule - 1n)) !== 0n) return false;
    return mayFit(this.#parts, [room]);
  }

  /** What the fixed parts take, ascending. */
  #taken(): Span[] {
    return this.#parts.flatMap(({ fixed }) => fixed ?? []).sort((a, b) => ascending(a.base, b.base));
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

/**
 * False where counting alone says that the parts do not fit into the spans: what is fixed overlaps, what is to lie between
 * does not fit by itself, or all of it together needs more whole units than there are.
 */
export function mayFit(
  parts: readonly Part[],
  spans: readonly Span[],
  rooms: readonly (readonly Span[])[] = [],
): boolean {
  const fixed = parts
    .flatMap((part) => (part.fixed ? [{ part, fixed: part.fixed }] : []))
    .sort((a, b) => ascending(a.fixed.base, b.fixed.base));
  const [first, last] = [spans[0], spans.at(-1)];
  if (!first || !last) return parts.length === 0;
  const lies = fixed.every(({ part }, i) => {
    const low = fixed[i - 1]?.fixed.limit ?? first.base - 1n;
    const high = fixed[i + 1]?.fixed.base ?? last.limit + 1n;
    return part.mayLie?.(low + 1n, high - 1n) ?? true;
  });
  if (!lies) return false;
  const taken = fixed.map(({ fixed: span }) => span);
  const all = [spans, ...rooms].map((room) => without(room, taken));
  const units = parts.flatMap(({ needs }) => needs.map(({ unit }) => unit));
  return all.every((free, room) => {
    const own = room === 0 ? parts : parts.filter((part) => part.rooms?.includes(room - 1));
    const asked = own.flatMap(({ needs }) => needs);
    const counted = new Room(free, units);
    if (counted.slack(counted.ask(asked), first.base) < 0n) return false;
    return own.every((part) => part.fixed !== null || fitsSome(free, part.least, part.unit));
  });
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
