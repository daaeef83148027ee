import type { Machine } from '../machine/model.js';
import type { Budget } from './budget.js';
import type { Demand, DemandOptions } from './demand.js';
import { demandOf } from './demand.js';
import type { Choice, Decisions, Item, WindowKind } from './item.js';
import type { Taken } from './nogoods.js';
import { Nogoods } from './nogoods.js';
import { pack } from './packing.js';
import { quickXplain } from './quick-xplain.js';
import type { Depth } from './search.js';
import { depths, search } from './search.js';
import type { Segment } from './segments.js';
import { segmentsOf } from './segments.js';

export type Space = 'io' | 'memory';

/** Few enough choices to try every pair of exceptions on the fast path. */
const MANY_CHOICES = 16;
/** Steps that one exact search gets at first; each round gives more. */
const FIRST_SHARE = 1000;
const MORE = 8;

/**
 * Addresses for all that lies in one kind of address space: demands whose items have their places, each of some of the host
 * bridges; or null where no plan exists. Host bridges whose windows share no CPU address are solved one by one.
 * @throws OutOfBudget
 */
export function solveSpace(machine: Machine, space: Space, budget: Budget): Demand[] | null {
  const segments = segmentsOf(machine, space);
  const placed: Demand[] = [];
  for (const hosts of groupsOf(machine, segments)) {
    const own = segments.filter((segment) => hosts.has(segment.host));
    const found = new Solver(machine, space, hosts, own, budget).run();
    if (!found) return null;
    placed.push(found);
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

/** A demand that was placed: some choices as decided, the rest as expected. */
interface Decided {
  readonly demand: Demand;
  readonly decisions: Decisions;
}

interface Round {
  /** Steps that one search gets. */
  readonly share: number;
  /** No branch was given up for want of steps. */
  complete: boolean;
  /** Choices are taken otherwise without a reason. */
  guessing: boolean;
}

class Solver {
  readonly #nogoods = new Nogoods();

  constructor(
    private readonly machine: Machine,
    private readonly space: Space,
    private readonly hosts: ReadonlySet<number>,
    private readonly segments: readonly Segment[],
    private readonly budget: Budget,
  ) {}

  run(): Demand | null {
    const joined = this.#demand({ joined: true });
    if (joined.homeless.length > 0) return null;
    if (joined.hasRoom) {
      const roomy = this.#demand({ joined: true, roomy: true });
      if (pack(roomy.items, this.segments)) return roomy;
    }
    if (pack(joined.items, this.segments)) return joined;
    return this.#exceptions(this.#demand({}).choices) ?? this.#exact();
  }

  #demand(options: DemandOptions): Demand {
    return demandOf(this.machine, this.space, this.hosts, options);
  }

  /** The fast path again, with a few choices taken otherwise than expected. */
  #exceptions(choices: readonly Choice[]): Demand | null {
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
      const demand = this.#demand({ decisions, joined: true });
      if (pack(demand.items, this.segments)) return demand;
    }
    return null;
  }

  /** The exact search, in rounds: what is decided quickly is decided first. */
  #exact(): Demand | null {
    for (let share = FIRST_SHARE; ; share *= MORE) {
      const round: Round = { share, complete: true, guessing: false };
      const found = this.#decide(new Map(), round);
      if (found) return this.#narrowed(found, share);
      if (round.complete) return null;
    }
  }

  /** The same with 64-bit resources of root buses above 4 GiB, where that can be. */
  #narrowed({ demand, decisions }: Decided, share: number): Demand {
    if (demand.items.every((item) => item.tracks.length === 1)) return demand;
    const narrow = this.#demand({ decisions, narrow: true });
    return this.#placed(narrow, share) ? narrow : demand;
  }

  /** Whether `items` have places, which they are given; undefined: not known within `share` steps. */
  #placed({ items }: Demand, share: number): boolean | undefined {
    this.budget.spend(1 + (items.length >> 3));
    return pack(items, this.segments) || this.#mayFit(items, share, 'all');
  }

  #mayFit(items: readonly Item[], share: number, depth: Depth): boolean | undefined {
    return this.budget.attempt(share, () => search(items, this.segments, this.budget, depth));
  }

  /**
   * Tries what is decided, and the rest as expected. Where that is impossible, it is for some of the choices already; any
   * plan takes one of them otherwise, so each that is not decided is decided otherwise in turn, with those before it as they
   * were. What was found to be impossible is remembered.
   */
  #decide(decisions: Map<string, WindowKind>, round: Round): Decided | null {
    const demand = this.#demand({ decisions });
    const taken = demand.choices.map((choice): Taken => {
      return { choice, kind: decisions.get(choice.key) ?? choice.options[0] };
    });
    let nogood = this.#nogoods.within(taken, decisions);
    if (!nogood) {
      const placed = this.#placed(demand, round.share);
      if (placed) return { demand, decisions: new Map(decisions) };
      if (placed === undefined) {
        round.complete = false;
        return this.#guess(taken, decisions, round);
      }
      nogood = this.#impossible(demand, taken, round);
    }
    return this.#otherwise(nogood, decisions, round);
  }

  /** As little of what is taken, which is impossible, as is impossible. */
  #impossible(demand: Demand, taken: readonly Taken[], round: Round): Taken[] {
    const depth = depths.find((one) => this.#mayFit(demand.items, round.share, one) === false) ?? 'all';
    const pinnedFirst = taken.toSorted((a, b) => isPinned(b) - isPinned(a));
    const found = quickXplain(pinnedFirst, (some) => {
      const decisions = new Map(some.map(({ choice, kind }) => [choice.key, kind] as const));
      const { items } = this.#demand({ decisions, undecided: 'drop' });
      this.budget.spend(1 + (items.length >> 3));
      return this.#mayFit(items, round.share, depth) === false;
    });
    this.#nogoods.add(found);
    return [...found];
  }

  /** Decides one of these otherwise. */
  #otherwise(nogood: readonly Taken[], decisions: Map<string, WindowKind>, round: Round): Decided | null {
    const open = nogood.filter(({ choice }) => !decisions.has(choice.key));
    const tried = new Set<string>();
    let found: Decided | null = null;
    for (const { choice, kind } of open) {
      const { key, group, options } = choice;
      // Of resources that can stand for each other one is enough.
      if (group === null || !tried.has(group)) {
        decisions.set(key, options[0] === kind ? options[1] : options[0]);
        found = this.#decide(decisions, round);
        if (found) break;
        if (group !== null) tried.add(group);
      }
      decisions.set(key, kind);
    }
    for (const { choice } of open) decisions.delete(choice.key);
    return found;
  }

  /** Where it takes too long to say what is impossible: every single choice taken otherwise, pinned ones first. */
  #guess(taken: readonly Taken[], decisions: Map<string, WindowKind>, round: Round): Decided | null {
    if (round.guessing) return null;
    round.guessing = true;
    for (const { choice, kind } of taken.toSorted((a, b) => isPinned(b) - isPinned(a))) {
      if (decisions.has(choice.key)) continue;
      decisions.set(choice.key, choice.options[0] === kind ? choice.options[1] : choice.options[0]);
      const found = this.#decide(decisions, round);
      decisions.delete(choice.key);
      if (found) return found;
    }
    round.guessing = false;
    return null;
  }
}

const isPinned = ({ choice }: Taken): number => Number(choice.item.fixed !== null);
