import { ascending } from '../address/align.js';
import type { Budget } from './budget.js';
import { OutOfBudget } from './budget.js';
import type { Span } from './item.js';
import { areAlike, placeLeaves } from './leaves.js';
import { Room, without } from './tally.js';
import type { Line, Order, Part } from './order.js';

/**
 * An order of `parts` in which all fit, packed to the left; null where there is none.
 *
 * Why this is exhaustive. In a valid layout the parts do not overlap, so they have an order. Take the parts in that order
 * and put each where `end` is lowest after the one before: by induction none ends later than it did, because `end` never
 * falls when its cursor rises. So a layout exists exactly when some order, packed in this way, fits. All orders are tried,
 * except where that cannot matter: parts with one key are alike; fixed parts have the order of their addresses, for no other
 * fits; of two orders that placed the same parts, the one that ended later can do nothing that the other cannot; where the
 * size classes of what is left have too little room, nothing helps; small leaves are not tried one by one where one of them
 * is as good as all (`#fillers`); and once nothing but leaves is left to move, `placeLeaves` says whether they fit.
 *
 * It goes from beginnings of an order to those that are longer by one, and keeps the best few of them, then more, until it
 * has found an order or has kept them all.
 * @throws OutOfBudget
 */
export function findOrder(parts: readonly Part[], line: Line, budget: Budget): Order | null {
  // What is fixed has one order only. Often that is what has no room, and all the rest would be tried in vain.
  const fixed = parts.filter((part) => part.fixed);
  if (fixed.length > 0 && fixed.length < parts.length && !new Search(fixed, { ...line, any: true }, budget).run()) {
    return null;
  }
  return new Search(parts, line, budget).run();
}

/** How many beginnings of one length are kept at first, how many times more each time, and at the most. */
const FIRST_WIDTH = 8;
const WIDER = 8;
const MOST_WIDTH = FIRST_WIDTH * WIDER ** 4;

/** Above all sizes. */
const NO_UNIT = 1n << 80n;

interface Kind {
  readonly parts: readonly Part[];
  readonly first: Part;
}

/** The beginning of an order. */
interface State {
  readonly cursor: bigint;
  /** The last part that was placed, and the beginning before it. */
  readonly part: Part | null;
  readonly before: State | null;
  readonly fixedPlaced: number;
  /** Of each kind, how many are left to place. */
  readonly left: readonly number[];
  readonly remaining: number;
  /** What is left to place asks of each room, by unit. */
  readonly asked: readonly (readonly bigint[])[];
  /** Bytes that will be left over. */
  readonly slack: bigint;
}

interface Step {
  /** Index of the kind; null: the next fixed part. */
  readonly kind: number | null;
  readonly part: Part;
  readonly end: bigint;
  readonly waste: bigint;
}

class Search {
  readonly #kinds: readonly Kind[];
  readonly #fixed: readonly Part[];
  readonly #rooms: readonly Room[];
  readonly #asks = new Map<Part, readonly bigint[]>();
  /** As {@link areAlike} has it. */
  readonly #leavesAreAlike: boolean;
  /** What a step costs, in time and in memory. */
  readonly #cost: number;
  readonly #root: State;
  #best: Order | null = null;

  constructor(
    parts: readonly Part[],
    private readonly line: Line,
    private readonly budget: Budget,
  ) {
    this.#fixed = parts
      .filter((part) => part.fixed)
      .sort((a, b) => ascending(a.fixed?.base ?? 0n, b.fixed?.base ?? 0n));
    const byKey = new Map<string, Part[]>();
    parts
      .filter((part) => !part.fixed)
      .forEach((part, i) => {
        const key = part.key ?? `#${i}`;
        const same = byKey.get(key);
        if (same) same.push(part);
        else byKey.set(key, [part]);
      });
    this.#kinds = [...byKey.values()]
      .flatMap((same) => (same[0] ? [{ parts: same, first: same[0] }] : []))
      .sort((a, b) => ascending(b.first.unit, a.first.unit) || ascending(b.first.least, a.first.least));
    const taken = this.#fixed.flatMap(({ fixed }) => fixed ?? []);
    const units = parts.flatMap(({ needs }) => needs.map(({ unit }) => unit));
    const rooms: readonly (readonly Span[])[] = line.rooms ?? [[{ base: line.start, limit: line.end - 1n }]];
    this.#rooms = rooms.map((spans) => new Room(without(spans, taken), units));
    const leaves = this.#kinds.flatMap(({ first }) => first.leaf ?? []);
    // The homes of a leaf are in the order of preference, not of address.
    this.#leavesAreAlike = areAlike(leaves) && (line.any || leaves.every(({ homes }) => homes === undefined));
    this.#cost = 1 + (this.#kinds.length >> 3);
    for (const part of parts) this.#asks.set(part, this.#rooms[0]?.ask(part.needs) ?? []);
    this.#root = {
      cursor: line.start,
      part: null,
      before: null,
      fixedPlaced: 0,
      left: this.#kinds.map((kind) => kind.parts.length),
      remaining: parts.length,
      asked: this.#rooms.map((room, i) =>
        room.ask(parts.filter((part) => isIn(part, i)).flatMap(({ needs }) => needs)),
      ),
      slack: 0n,
    };
  }

  run(): Order | null {
    if (this.#root.remaining === 0) return { end: this.line.start, parts: [] };
    if (this.#slack(this.#root.asked, 0, this.line.start) === null) return null;
    for (let width = FIRST_WIDTH; width <= MOST_WIDTH; width *= WIDER) {
      if (this.#sweep(width)) return this.#best;
    }
    throw new OutOfBudget(false);
  }

  /** True: nothing better is to be found. */
  #sweep(width: number): boolean {
    let isComplete = true;
    let layer: readonly State[] = [this.#root];
    while (layer.length > 0) {
      const next = new Map<string, State>();
      for (const state of layer) {
        this.budget.spend(this.#cost);
        if (this.#finish(state)) continue;
        for (const step of this.#steps(state)) {
          const longer = this.#longer(state, step);
          if (!longer) continue;
          const key = `${longer.fixedPlaced}:${longer.left.join()}`;
          const other = next.get(key);
          if (!other || longer.cursor < other.cursor) next.set(key, longer);
        }
        if (this.#best && this.line.any) return true;
      }
      layer = [...next.values()];
      if (layer.length > width) {
        isComplete = false;
        layer = [...layer].sort((a, b) => ascending(b.slack, a.slack)).slice(0, width);
      }
    }
    return isComplete;
  }

  /** One part more; null where there is nothing in it. */
  #longer(state: State, { kind, part, end }: Step): State | null {
    const remaining = state.remaining - 1;
    if (remaining === 0) {
      this.#found(end, [...partsOf(state), part]);
      return null;
    }
    const fixedPlaced = kind === null ? state.fixedPlaced + 1 : state.fixedPlaced;
    const own = this.#asks.get(part) ?? [];
    const asked =
      part.needs.length === 0
        ? state.asked
        : state.asked.map((room, i) => (isIn(part, i) ? room.map((bytes, u) => bytes - (own[u] ?? 0n)) : room));
    const slack = this.#slack(asked, fixedPlaced, end);
    if (slack === null) return null;
    const left = kind === null ? state.left : state.left.with(kind, (state.left[kind] ?? 0) - 1);
    return { cursor: end, part, before: state, fixedPlaced, left, remaining, asked, slack };
  }

  /** Bytes left over at the most; null: no order of what is left fits, or is better than what was found. */
  #slack(asked: State['asked'], fixedPlaced: number, cursor: bigint): bigint | null {
    const next = this.#fixed[fixedPlaced]?.fixed;
    if (next && next.base < cursor) return null;
    let least: bigint | null = null;
    for (const [i, room] of this.#rooms.entries()) {
      const slack = room.slack(asked[i] ?? [], cursor);
      if (slack < 0n) return null;
      least ??= slack;
    }
    const best = this.#best?.end;
    if (best !== undefined) {
      const last = next && this.#fixed.at(-1)?.fixed;
      const end = this.#rooms[0]?.end(asked[0] ?? [], cursor) ?? cursor;
      if (end >= best || (last && last.limit + 1n >= best)) return null;
    }
    return least;
  }

  #found(end: bigint, parts: readonly Part[]): void {
    if (!this.#best || end < this.#best.end) this.#best = { end, parts };
  }

  /** True: only leaves could still move, and have been dealt with; what is fixed has been found to be possible. */
  #finish(state: State): boolean {
    const fixed = this.#fixed.slice(state.fixedPlaced);
    if (!this.#leavesAreAlike || state.remaining === fixed.length || this.#commonUnit(state) !== NO_UNIT) return false;
    const spans = [{ base: state.cursor, limit: this.line.end - 1n }];
    const leaves = this.#kinds.flatMap(({ parts }, kind) => parts.slice(parts.length - (state.left[kind] ?? 0)));
    const taken = fixed.flatMap(({ fixed: span }) => span ?? []);
    const places = placeLeaves(leaves, without(spans, taken));
    if (!places) return true;
    const rest = [
      ...places.map(({ part, at }) => ({ part, at, end: at + part.unit })),
      ...fixed.flatMap((part) => (part.fixed ? [{ part, at: part.fixed.base, end: part.fixed.limit + 1n }] : [])),
    ].sort((a, b) => ascending(a.at, b.at));
    this.#found(rest.at(-1)?.end ?? state.cursor, [...partsOf(state), ...rest.map(({ part }) => part)]);
    return true;
  }

  /** What can come next, that which leaves the smallest gap first, and leaves last: they fit in most places. */
  #steps(state: State): Step[] {
    const { cursor, left, fixedPlaced } = state;
    const next = this.#fixed[fixedPlaced];
    const wall = next?.fixed?.base ?? this.line.end;
    const steps: Step[] = [];
    this.#kinds.forEach(({ parts }, kind) => {
      const part = parts[parts.length - (left[kind] ?? 0)];
      const end = part?.end(cursor);
      if (part && end !== null && end !== undefined && end <= wall) {
        steps.push({ kind, part, end, waste: end - cursor - part.least });
      }
    });
    const fillers = this.#fillers(state, steps);
    if (fillers?.only) return fillers.steps;
    const open = fillers ? steps.filter(({ part }) => !part.leaf || part.unit >= fillers.unit) : steps;
    if (fillers) open.push(...fillers.steps);
    const end = next?.end(cursor);
    if (next && end !== null && end !== undefined && end <= this.line.end) {
      open.push({ kind: null, part: next, end, waste: end - cursor - next.least });
    }
    return open.sort((a, b) => ascending(a.waste, b.waste) || isLeaf(a) - isLeaf(b));
  }

  /**
   * The small leaves worth trying at the cursor: those below the unit of everything else that can still move. All else
   * starts at multiples of that unit, so what lies between the cursor and the next multiple is leaves, or nothing.
   *
   * Let L be the largest leaf that fits at the cursor, and take any layout. Where no larger leaf starts there, the L bytes
   * from the cursor hold leaves that are no larger than L, each within them, or nothing; they can change places with L,
   * which takes as many bytes at a multiple of its size. So some layout with the same ends has L there. The bytes that L
   * leaves have to suit those leaves: they do where L's rank is not above theirs. So of the lowest rank the largest is
   * tried, and of a higher rank only what is larger still. All that may lie in the L bytes has to be among those that fit at
   * the cursor, and in all places where L may lie: so the leaves have to be alike.
   *
   * `only`: the cursor is between multiples, and nothing but these can lie there.
   */
  #fillers(state: State, steps: readonly Step[]): { steps: Step[]; unit: bigint; only: boolean } | null {
    if (!this.#leavesAreAlike) return null;
    const { cursor } = state;
    const unit = this.#commonUnit(state);
    const small = steps.filter(({ part, end }) => part.leaf && part.unit < unit && end === cursor + part.least);
    if (small.length === 0) return null;
    const rank = (step: Step) => step.part.leaf?.rank ?? 0;
    const lowest = small.reduce((least, step) => Math.min(least, rank(step)), Infinity);
    const largest = small.reduce(
      (most, step) => (rank(step) === lowest && step.part.least > most ? step.part.least : most),
      0n,
    );
    const worth = small.filter((step) =>
      rank(step) === lowest ? step.part.least === largest : step.part.least > largest,
    );
    return { steps: worth, unit, only: (cursor & (unit - 1n)) !== 0n };
  }

  /** The smallest unit of what is no leaf and can move, or grow; above all sizes where there is none. */
  #commonUnit({ left, fixedPlaced }: State): bigint {
    let unit = NO_UNIT;
    this.#kinds.forEach(({ first }, kind) => {
      if (left[kind] && !first.leaf && first.unit < unit) unit = first.unit;
    });
    for (let i = fixedPlaced; i < this.#fixed.length; i++) {
      const part = this.#fixed[i];
      if (part && !part.rigid && part.unit < unit) unit = part.unit;
    }
    return unit;
  }
}

/** Whether a part has to lie in the room with this index; the first has all of them. */
const isIn = (part: Part, room: number): boolean => room === 0 || (part.rooms?.includes(room) ?? false);
const isLeaf = ({ part }: Step): number => Number(part.leaf !== undefined);

/** What was placed, in order. */
function partsOf(state: State): Part[] {
  const parts: Part[] = [];
  for (let at: State | null = state; at?.part; at = at.before) parts.push(at.part);
  return parts.reverse();
}
