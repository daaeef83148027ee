import type { Machine } from '../machine/model.js';
import type { Budget } from './budget.js';
import type { Demand, DemandOptions } from './demand.js';
import { demandOf } from './demand.js';
import type { Choice, Decisions, WindowKind } from './item.js';
import { pack } from './packing.js';
import { quickXplain } from './quick-xplain.js';
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
}

class Solver {
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
      const round: Round = { share, complete: true };
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
    return pack(items, this.segments) || this.budget.attempt(share, () => search(items, this.segments, this.budget));
  }

  /**
   * Tries what is decided, and the rest as expected. Where that is impossible, some of the choices that were not decided
   * are enough to make it so; any plan takes one of them otherwise, so each in turn is decided otherwise, with those
   * before it as expected.
   */
  #decide(decisions: Map<string, WindowKind>, round: Round): Decided | null {
    const expected = this.#demand({ decisions });
    const placed = this.#placed(expected, round.share);
    if (placed) return { demand: expected, decisions: new Map(decisions) };
    const open = expected.choices.filter(({ key }) => !decisions.has(key));
    if (placed === undefined) {
      round.complete = false;
      return decisions.size === 0 ? this.#guess(open, round) : null;
    }
    const impossible = (some: readonly Choice[]): boolean => {
      const known = new Map([...decisions, ...some.map(({ key, options }) => [key, options[0]] as const)]);
      return this.#placed(this.#demand({ decisions: known, undecided: 'drop' }), round.share) === false;
    };
    const blamed = quickXplain(open, impossible);
    const tried = new Set<string>();
    let found: Decided | null = null;
    for (const { key, group, options } of blamed) {
      // Of resources that can stand for each other one is enough.
      if (group === null || !tried.has(group)) {
        decisions.set(key, options[1]);
        found = this.#decide(decisions, round);
        if (found) break;
        if (group !== null) tried.add(group);
      }
      decisions.set(key, options[0]);
    }
    for (const { key } of blamed) decisions.delete(key);
    return found;
  }

  /** Where it takes too long to say what is impossible: every single choice taken otherwise, pinned ones first. */
  #guess(open: readonly Choice[], round: Round): Decided | null {
    const sorted = open.toSorted((a, b) => Number(b.item.fixed !== null) - Number(a.item.fixed !== null));
    for (const { key, options } of sorted) {
      const found = this.#decide(new Map([[key, options[1]]]), round);
      if (found) return found;
    }
    return null;
  }
}
