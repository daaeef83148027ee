import { ascending } from '../address/align.js';
import type { Budget } from './budget.js';

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
}

export interface Line {
  readonly start: bigint;
  /** One past the last address. */
  readonly end: bigint;
  /** What is free from `cursor` on. Where it is left out: all up to `end`. */
  room?(cursor: bigint): bigint;
  /** True: the first order that fits will do. False: the one that ends lowest. */
  readonly any: boolean;
}

export interface Order {
  readonly end: bigint;
  readonly parts: readonly Part[];
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
 * fits; and of two orders that placed the same parts, the one that ended later can do nothing that the other cannot.
 */
export function findOrder(parts: readonly Part[], line: Line, budget: Budget): Order | null {
  return new Search(parts, line, budget).run();
}

class Search {
  readonly #kinds: readonly Kind[];
  readonly #fixed: readonly Part[];
  readonly #units: readonly { readonly unit: bigint; readonly mask: bigint }[];
  readonly #left: number[];
  /** What is left to place, by the largest of `units` that divides it, in the order of `units`. */
  readonly #weight: bigint[];
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
    this.#weight[at] = (this.#weight[at] ?? 0n) + sign * part.least;
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
    if (!this.line.room) return false;
    return this.#weight.reduce((sum, weight) => sum + weight, 0n) > this.line.room(cursor);
  }

  /** True: nothing better can be found, stop. */
  #visit(cursor: bigint): boolean {
    if (this.#remaining === 0) {
      this.#best = { end: cursor, parts: [...this.#path] };
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
  #steps(cursor: bigint): { kind: number | null; part: Part; end: bigint; waste: bigint }[] {
    const steps: { kind: number | null; part: Part; end: bigint; waste: bigint }[] = [];
    const next = this.#fixed[this.#fixedPlaced];
    const wall = next?.fixed?.base ?? this.line.end;
    this.#kinds.forEach(({ parts }, kind) => {
      const part = parts[parts.length - (this.#left[kind] ?? 0)];
      const end = part?.end(cursor);
      if (part && end !== null && end !== undefined && end <= wall) {
        steps.push({ kind, part, end, waste: end - cursor - part.least });
      }
    });
    const end = next?.end(cursor);
    if (next && end !== null && end !== undefined && end <= this.line.end) {
      steps.push({ kind: null, part: next, end, waste: end - cursor - next.least });
    }
    return steps.sort((a, b) => ascending(a.waste, b.waste));
  }
}
