import type { Machine } from '../machine/model.js';
import type { Budget } from './budget.js';
import type { Choice, Decisions, Item, WindowKind } from './demand.js';
import { demandOf } from './demand.js';
import { pack } from './packing.js';
import { search } from './search.js';
import type { Segment } from './segments.js';
import { segmentsOf } from './segments.js';

export type Space = 'io' | 'memory';

/** Few enough choices to try every pair of exceptions on the fast path. */
const MANY_CHOICES = 16;
/** Steps that one exact search gets at first; each round gives more. */
const FIRST_SHARE = 1000;
const MORE = 8;

/**
 * Addresses for all that lies in one kind of address space: the placed items of the root buses, or null where no plan
 * exists. Host bridges whose windows share no CPU address are solved one by one.
 * @throws OutOfBudget
 */
export function solveSpace(machine: Machine, space: Space, budget: Budget): Item[] | null {
  const segments = segmentsOf(machine, space);
  const placed: Item[] = [];
  for (const hosts of groupsOf(machine, segments)) {
    const own = segments.filter((segment) => hosts.has(segment.host));
    const items = new Solver(machine, space, hosts, own, budget).run();
    if (!items) return null;
    placed.push(...items);
  }
  return placed;
}

/** Host bridges that can get into each other's way, by index. `segments` ascend by CPU address. */
function groupsOf(machine: Machine, segments: readonly Segment[]): Set<number>[] {
  const groups = machine.hostBridges.map((_, host) => new Set([host]));
  const join = (a: number, b: number) => {
    const [to, from] = [groups[a], groups[b]];
    if (!to || !from || to === from) return;
    for (const host of from) {
      to.add(host);
      groups[host] = to;
    }
  };
  let last: Segment | undefined;
  for (const segment of segments) {
    if (last && segment.base + segment.shift <= last.limit + last.shift) join(last.host, segment.host);
    if (!last || segment.limit + segment.shift > last.limit + last.shift) last = segment;
  }
  return [...new Set(groups)];
}

interface Round {
  /** Steps that one search gets. */
  readonly share: number;
  /** No branch was given up for want of steps. */
  complete: boolean;
}

class Solver {
  constructor(
    private readonly machine: Machine,
    private readonly space: Space,
    private readonly hosts: ReadonlySet<number>,
    private readonly segments: readonly Segment[],
    private readonly budget: Budget,
  ) {}

  run(): Item[] | null {
    const expected = this.#demand(new Map());
    if (expected.homeless.length > 0) return null;
    if (pack(expected.items, this.segments)) return expected.items;
    return this.#exceptions(expected.choices) ?? this.#exact();
  }

  #demand(decisions: Decisions, undecided: 'expect' | 'drop' = 'expect') {
    return demandOf(this.machine, this.space, this.hosts, decisions, undecided);
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
      this.budget.spend();
      const { items } = this.#demand(decisions);
      if (pack(items, this.segments)) return items;
    }
    return null;
  }

  /** The exact search, in rounds: what is decided quickly is decided first. */
  #exact(): Item[] | null {
    for (let share = FIRST_SHARE; ; share *= MORE) {
      const round: Round = { share, complete: true };
      const found = this.#decide(new Map(), round, true);
      if (found !== null || round.complete) return found;
    }
  }

  /** Places `items` by the exact search; null: impossible; undefined: not known within `share` steps. */
  #found(items: Item[], share: number): Item[] | null | undefined {
    // Where it can be, 64-bit resources of root buses lie above 4 GiB.
    if (items.some((item) => item.tracks.length > 1)) {
      const narrow = items.map((item) => ({ ...item, tracks: item.tracks.slice(0, 1) }));
      if (this.budget.attempt(share, () => search(narrow, this.segments, this.budget))) return narrow;
    }
    const found = this.budget.attempt(share, () => search(items, this.segments, this.budget));
    return found === undefined ? undefined : found ? items : null;
  }

  /**
   * Decides one choice after the other, pinned ones first, for they say most. What is not decided yet is left out, so
   * that a branch is cut as soon as what is decided has no plan; where all is decided, the layout is the plan. Where
   * only unpinned choices are open, all of them as expected are tried before any other way (`fresh`: not done yet).
   */
  #decide(decisions: Map<string, WindowKind>, round: Round, fresh: boolean): Item[] | null {
    this.budget.spend();
    const { items, choices } = this.#demand(decisions, 'drop');
    const placed = pack(items, this.segments) ? items : this.#found(items, round.share);
    if (placed === null) return null;
    const undecided = choices.filter(({ key }) => !decisions.has(key));
    const open = undecided.find(({ item }) => item.fixed) ?? undecided[0];
    if (!open) {
      if (!placed) round.complete = false;
      return placed ?? null;
    }
    if (fresh && !open.item.fixed) {
      const all = this.#demand(decisions).items;
      const found = pack(all, this.segments) ? all : this.#found(all, round.share);
      if (found) return found;
    }
    // Among resources that can stand for each other, those that go the expected way come first.
    const exceptional = choices.some(
      ({ key, group, options }) => group !== null && group === open.group && decisions.get(key) === options[1],
    );
    for (const home of exceptional ? [open.options[1]] : open.options) {
      decisions.set(open.key, home);
      const found = this.#decide(decisions, round, home === open.options[1] || open.item.fixed !== null);
      if (found) return found;
      decisions.delete(open.key);
    }
    return null;
  }
}
