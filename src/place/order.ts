import { ascending } from '../address/align.js';
import type { Budget } from './budget.js';
import type { Span } from './item.js';

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
  /** It starts at a multiple of this, and `least` is one. */
  readonly unit: bigint;
  /**
   * The lowest possible end (one past the last address) when nothing of it lies below `cursor`; null where it fits nowhere.
   * Never falls when `cursor` rises.
   */
  end(cursor: bigint): bigint | null;
  /** Puts it where `end(cursor)` says. */
  commit(cursor: bigint): void;
  /** A fixed part that takes more than `fixed` where its contents do. */
  readonly grows?: boolean;
  /**
   * Of a part that is as large as its unit, a power of two, at a place that is as good as any other for those of the same
   * `group` and of the same or a higher `rank`.
   */
  readonly leaf?: { readonly group: number; readonly rank: number };
  /** Of {@link Line.rooms}, by index, those that it lies in wherever it lies. */
  readonly rooms?: readonly number[];
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

/** A room, and what is left to place that has to lie in it, as `#weight` has it. */
interface Crowd {
  readonly spans: readonly Span[];
  readonly weight: bigint[];
}

interface Kind {
  readonly parts: readonly Part[];
  readonly first: Part;
}

/**
 * An order of `parts` in which all fit, packed to the left; null where there is none.
 *
 * Why this is exhaustive. In a valid layout the parts do not overlap, so they have an order. Take the parts in that order
 * and put each where `end` is lowest after the one before: by induction none ends later than it did, because `end` never
 * falls when its cursor rises. So a layout exists exactly when some order, packed in this way, fits. All orders are tried,
 * except where that cannot matter: parts with one key are alike; fixed parts have the order of their addresses, for no other
 * fits; of two orders that placed the same parts, the one that ended later can do nothing that the other cannot; and small
 * leaves are not tried one by one where one of them is as good as all (`#fillers`).
 */
export function findOrder(parts: readonly Part[], line: Line, budget: Budget): Order | null {
  return new Search(parts, line, budget).run();
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
  readonly #units: readonly { readonly unit: bigint; readonly mask: bigint }[];
  readonly #left: number[];
  /** What is left to place, by the largest of `units` that divides it, in the order of `units`. */
  readonly #weight: bigint[];
  readonly #crowd: readonly Crowd[];
  readonly #seen = new Map<string, bigint>();
  readonly #path: Part[] = [];
  readonly #cost: number;
  #fixedPlaced = 0;
  #remaining: number;
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
    const units = [...new Set(parts.map((part) => part.unit))].sort((a, b) => ascending(b, a));
    this.#units = units.map((unit) => ({ unit, mask: -unit }));
    this.#left = this.#kinds.map((kind) => kind.parts.length);
    this.#weight = units.map(() => 0n);
    this.#crowd = (line.rooms ?? []).map((spans) => ({ spans, weight: units.map(() => 0n) }));
    for (const part of parts) this.#weigh(part, 1n);
    this.#remaining = parts.length;
    // What a step costs, in time and in memory, grows with the kinds of parts.
    this.#cost = 1 + (this.#kinds.length >> 3);
  }

  run(): Order | null {
    this.#visit(this.line.start);
    return this.#best;
  }

  #weigh(part: Part, sign: bigint): void {
    const at = this.#units.findIndex(({ unit }) => unit === part.unit);
    const weight = sign * part.least;
    this.#weight[at] = (this.#weight[at] ?? 0n) + weight;
    for (const room of part.rooms ?? []) {
      const own = this.#crowd[room]?.weight;
      if (own) own[at] = (own[at] ?? 0n) + weight;
    }
  }

  /** No order of what is left ends lower: parts whose places are multiples of a unit fill whole units of it. */
  #bound(cursor: bigint): bigint {
    let bound = cursor;
    let sum = 0n;
    this.#units.forEach(({ unit, mask }, i) => {
      sum += this.#weight[i] ?? 0n;
      const end = ((cursor + unit - 1n) & mask) + sum;
      if (sum > 0n && end > bound) bound = end;
    });
    return bound;
  }

  #hopeless(cursor: bigint): boolean {
    const bound = this.#bound(cursor);
    if (bound > this.line.end || (this.#best && bound >= this.#best.end)) return true;
    return this.#crowd.some((crowd) => this.#overfull(crowd, cursor));
  }

  /** More whole units are asked for than there are from `cursor` on. */
  #overfull({ spans, weight }: Crowd, cursor: bigint): boolean {
    let sum = 0n;
    return this.#units.some(({ unit, mask }, i) => {
      if (weight[i] === 0n) return false;
      sum += weight[i] ?? 0n;
      let room = 0n;
      for (const { base, limit } of spans) {
        const from = ((base > cursor ? base : cursor) + unit - 1n) & mask;
        const to = (limit + 1n) & mask;
        if (to > from) room += to - from;
      }
      return sum > room;
    });
  }

  /** True: nothing better can be found, stop. */
  #visit(cursor: bigint): boolean {
    if (this.#remaining === 0) {
      if (!this.#best || cursor < this.#best.end) this.#best = { end: cursor, parts: [...this.#path] };
      return this.line.any;
    }
    if (this.#hopeless(cursor)) return false;
    this.budget.spend(this.#cost);
    const state = `${this.#fixedPlaced}:${this.#left.join()}`;
    const before = this.#seen.get(state);
    if (before !== undefined && before <= cursor) return false;
    this.#seen.set(state, cursor);
    const lowest = this.#bound(cursor);
    for (const step of this.#steps(cursor)) {
      this.#take(step.kind, step.part, -1);
      const stop = this.#visit(step.end);
      this.#take(step.kind, step.part, 1);
      if (stop || (this.#best && this.#best.end <= lowest)) return stop;
    }
    return false;
  }

  #take(kind: number | null, part: Part, sign: 1 | -1): void {
    if (kind === null) this.#fixedPlaced -= sign;
    else this.#left[kind] = (this.#left[kind] ?? 0) + sign;
    this.#remaining += sign;
    this.#weigh(part, BigInt(sign));
    if (sign < 0) this.#path.push(part);
    else this.#path.pop();
  }

  /** What can come next, that which leaves the smallest gap first. */
  #steps(cursor: bigint): Step[] {
    const next = this.#fixed[this.#fixedPlaced];
    const wall = next?.fixed?.base ?? this.line.end;
    const steps: Step[] = [];
    this.#kinds.forEach(({ parts }, kind) => {
      const part = parts[parts.length - (this.#left[kind] ?? 0)];
      const end = part?.end(cursor);
      if (part && end !== null && end !== undefined && end <= wall) {
        steps.push({ kind, part, end, waste: end - cursor - part.least });
      }
    });
    const fillers = this.#fillers(cursor, steps);
    if (fillers?.only) return fillers.steps;
    const open = fillers ? steps.filter(({ part }) => !part.leaf || part.unit >= fillers.unit) : steps;
    if (fillers) open.push(...fillers.steps);
    const end = next?.end(cursor);
    if (next && end !== null && end !== undefined && end <= this.line.end) {
      open.push({ kind: null, part: next, end, waste: end - cursor - next.least });
    }
    return open.sort((a, b) => ascending(a.waste, b.waste));
  }

  /**
   * The small leaves worth trying at `cursor`: those below the unit of everything else that can still move. All else starts
   * at multiples of that unit, so what lies between the cursor and the next multiple is leaves, or nothing.
   *
   * Let L be the largest leaf that fits at the cursor, and take any layout. Where no larger leaf starts there, the L bytes
   * from the cursor hold leaves that are no larger than L, each within them, or nothing; they can change places with L,
   * which takes as many bytes at a multiple of its size. So some layout with the same ends has L there. The bytes that L
   * leaves have to suit those leaves: they do where L's rank is not above theirs. So of the lowest rank the largest is
   * tried, and of a higher rank only what is larger still.
   *
   * `only`: the cursor is between multiples, and nothing but these can lie there.
   */
  #fillers(cursor: bigint, steps: readonly Step[]): { steps: Step[]; unit: bigint; only: boolean } | null {
    const unit = this.#commonUnit();
    const small = steps.filter(({ part, end }) => part.leaf && part.unit < unit && end === cursor + part.least);
    const [one] = small;
    if (!one) return null;
    if (small.some(({ part }) => part.leaf?.group !== one.part.leaf?.group)) return null;
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
  #commonUnit(): bigint {
    let unit = 1n << 80n;
    this.#kinds.forEach(({ first }, kind) => {
      if (this.#left[kind] && !first.leaf && first.unit < unit) unit = first.unit;
    });
    for (let i = this.#fixedPlaced; i < this.#fixed.length; i++) {
      const part = this.#fixed[i];
      if (part?.grows && part.unit < unit) unit = part.unit;
    }
    return unit;
  }
}
