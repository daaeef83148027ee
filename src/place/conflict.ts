import type { Machine } from '../machine/model.js';
import type { Background } from './background.js';
import { backgroundOf, lift } from './background.js';
import type { Budget } from './budget.js';
import { OutOfBudget } from './budget.js';
import { numberBuses } from './bus-numbers.js';
import type { Claim, Field } from './claims.js';
import { claimsOf } from './claims.js';
import { Excerpts } from './excerpt.js';
import { isWindow } from './names.js';
import { quickXplain } from './quick-xplain.js';
import { solveSpace } from './solve.js';

/** What one solving of a part of the machine may cost, in steps; and where the answer decides whether all is said. */
const SHARE = 20_000;
const LARGE_SHARE = 200_000;

export interface Core {
  readonly field: Field;
  /** Cannot hold together. */
  readonly claims: readonly Claim[];
  /** What the machine is like that stands in the way: without any one of these there would be a plan. */
  readonly background: readonly Background[];
  /** Without any one of the claims the rest has a plan. False: the search for a smaller conflict reached its limit. */
  readonly isMinimal: boolean;
}

/** Claims that have no solution in `field`. */
interface Impossible {
  readonly claims: readonly Claim[];
  readonly field: Field;
}

export const fields: readonly Field[] = ['buses', 'memory', 'io'];

/** Finds out why a machine has no plan. */
export class Inquiry {
  readonly #excerpts: Excerpts;

  constructor(
    private readonly machine: Machine,
    private readonly budget: Budget,
  ) {
    this.#excerpts = new Excerpts(machine);
  }

  /**
   * A minimal part of `claims`, which have no solution in `field`. Minimal as one says it: of a machine with nothing in it
   * but what the rest of the claims names there is a whole plan, bus numbers and all.
   */
  coreOf(claims: readonly Claim[], field: Field): Core {
    let core = this.#shrunk({ claims, field });
    for (;;) {
      const { smaller, isSure } = this.#smaller(core);
      if (!smaller) return { ...core, background: this.#background(core), isMinimal: isSure };
      core = this.#shrunk(smaller.field === core.field ? smaller : this.#translated(smaller));
    }
  }

  /** Known to have no solution. */
  isImpossible({ claims, field }: Impossible): boolean {
    return isSolvable(this.#excerpts.of(claims), field, this.budget.part(SHARE)) === false;
  }

  #shrunk({ claims, field }: Impossible): Impossible {
    return { claims: quickXplain(claims, (some) => this.isImpossible({ claims: some, field })), field };
  }

  /** The same part of the machine as what it asks for in the field. */
  #translated({ claims, field }: Impossible): Impossible {
    const all = claimsOf(this.#excerpts.of(claims), field);
    return { claims: all.map((claim) => this.#excerpts.whole(claim)), field };
  }

  /** What has no plan either with one claim less, or with one pinned resource anywhere. */
  #smaller({ claims }: Impossible): { readonly smaller: Impossible | null; readonly isSure: boolean } {
    let isSure = true;
    for (const part of smallerParts(claims)) {
      const field = this.#impossibleField(part);
      if (field) return { smaller: { claims: part, field }, isSure };
      if (field === undefined) isSure = false;
    }
    return { smaller: null, isSure };
  }

  /** In what `claims` have no solution; null: in nothing; undefined: not known within the budget. */
  #impossibleField(claims: readonly Claim[]): Field | null | undefined {
    const part = this.#excerpts.of(claims);
    let isSure = true;
    for (const field of fields) {
      const found =
        isSolvable(part, field, this.budget.part(SHARE)) ?? isSolvable(part, field, this.budget.part(LARGE_SHARE));
      if (found === false) return field;
      if (found === undefined) isSure = false;
    }
    return isSure ? null : undefined;
  }

  #background({ claims, field }: Impossible): readonly Background[] {
    const part = this.#excerpts.of(claims);
    return backgroundOf(this.machine, field, claims).filter((one) => {
      const lifted = lift(part, one);
      return fields.every((each) => isSolvable(lifted, each, this.budget.part(SHARE)) === true);
    });
  }
}

/** `claims` with one left out; and where a resource is pinned with its pin alone left out. */
function* smallerParts(claims: readonly Claim[]): Iterable<readonly Claim[]> {
  for (const [i, claim] of claims.entries()) {
    yield claims.toSpliced(i, 1);
    if (claim.kind !== 'pin' || isWindow(claim) || claim.subject === 'secondary' || claim.subject === 'subordinate')
      continue;
    yield claims.with(i, { ...claim, kind: 'size' });
  }
}

/** Undefined: not known within the budget. */
export function isSolvable(machine: Machine, field: Field, budget: Budget): boolean | undefined {
  try {
    return (field === 'buses' ? numberBuses(machine, budget) : solveSpace(machine, field, budget)) !== null;
  } catch (error) {
    if (!(error instanceof OutOfBudget)) throw error;
    return undefined;
  }
}
