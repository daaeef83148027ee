import type { Machine } from '../machine/model.js';
import type { Budget } from './budget.js';
import type { Choice, Decisions, Demand, Item, WindowKind } from './demand.js';
import { demandOf } from './demand.js';
import { pack } from './packing.js';
import { search } from './search.js';
import type { Segment } from './segments.js';
import { segmentsOf } from './segments.js';

export type Space = 'io' | 'memory';

/** Few enough choices to try every pair of exceptions on the fast path. */
const MANY_CHOICES = 24;

/**
 * Addresses for all that lies in one kind of address space: the placed items of the root buses, or null where no plan
 * exists.
 * @throws OutOfBudget
 */
export function solveSpace(machine: Machine, space: Space, budget: Budget): Item[] | null {
  return new Solver(machine, space, budget).run();
}

class Solver {
  readonly #segments: readonly Segment[];

  constructor(
    private readonly machine: Machine,
    private readonly space: Space,
    private readonly budget: Budget,
  ) {
    this.#segments = segmentsOf(machine, space);
  }

  run(): Item[] | null {
    const expected = demandOf(this.machine, this.space, new Map());
    if (expected.homeless.length > 0) return null;
    if (pack(expected.items, this.#segments)) return expected.items;
    return this.#exceptions(expected.choices) ?? this.#exact(expected);
  }

  #packed(decisions: Decisions): Item[] | null {
    this.budget.spend();
    const { items } = demandOf(this.machine, this.space, decisions);
    return pack(items, this.#segments) ? items : null;
  }

  /** The fast path again, with a few choices taken otherwise than expected. */
  #exceptions(choices: readonly Choice[]): Item[] | null {
    const second = (choice: Choice) => [choice.key, choice.options[1]] as const;
    const low = choices.filter(({ item }) => item.fixed && item.fixed.limit < 1n << 32n);
    const tries: Decisions[] = [];
    if (low.length > 0) tries.push(new Map(low.map(second)));
    if (choices.length > 0) tries.push(new Map(choices.map(second)));
    if (choices.length <= MANY_CHOICES) {
      for (const choice of choices) tries.push(new Map([second(choice)]));
      choices.forEach((a, i) => {
        for (const b of choices.slice(i + 1)) tries.push(new Map([second(a), second(b)]));
      });
    }
    for (const decisions of tries) {
      const items = this.#packed(decisions);
      if (items) return items;
    }
    return null;
  }

  #exact(expected: Demand): Item[] | null {
    return this.#found(expected.items) ?? this.#decide(new Map());
  }

  /** The exact search with every choice taken; where it can, with 64-bit resources of root buses above 4 GiB. */
  #found(items: Item[]): Item[] | null {
    const narrow = items.map((item) => ({ ...item, tracks: item.tracks.slice(0, 1) }));
    if (items.some((item) => item.tracks.length > 1) && search(narrow, this.#segments, this.budget)) return narrow;
    return search(items, this.#segments, this.budget) ? items : null;
  }

  /**
   * Decides one choice after the other. What is not decided yet is left out, so that a branch without a plan is cut as
   * soon as what is decided has none; where all is decided, the layout is the plan.
   */
  #decide(decisions: Map<string, WindowKind>): Item[] | null {
    this.budget.spend();
    const { items, choices } = demandOf(this.machine, this.space, decisions, 'drop');
    const placed = pack(items, this.#segments) ? items : this.#found(items);
    if (!placed) return null;
    const open = choices.find(({ key }) => !decisions.has(key));
    if (!open) return placed;
    // Among resources that can stand for each other, those that go the expected way come first.
    const exceptional = choices.some(
      ({ key, group, options }) => group !== null && group === open.group && decisions.get(key) === options[1],
    );
    for (const home of exceptional ? [open.options[1]] : open.options) {
      decisions.set(open.key, home);
      const found = this.#decide(decisions);
      if (found) return found;
      decisions.delete(open.key);
    }
    return null;
  }
}
