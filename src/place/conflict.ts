import type { Machine } from '../machine/model.js';
import type { Budget } from './budget.js';
import { OutOfBudget } from './budget.js';
import { numberBuses } from './bus-numbers.js';
import type { Background } from './background.js';
import { backgroundOf, lift } from './background.js';
import type { Claim, Field } from './claims.js';
import { restrict } from './claims.js';
import { isWindow } from './names.js';
import { quickXplain } from './quick-xplain.js';
import { solveSpace } from './solve.js';

/** What one solving of a part of the machine may cost, in steps. */
const SHARE = 20_000;

export interface Core {
  readonly field: Field;
  /** Cannot hold together; any one less can. */
  readonly claims: readonly Claim[];
  /** What the machine is like that stands in the way: without any one of these there would be a plan. */
  readonly background: readonly Background[];
  /** False where the search for a smaller conflict reached its limit. */
  readonly isMinimal: boolean;
}

/** Finds out why one field of a machine has no solution. */
export class Inquiry {
  #isSure = true;

  constructor(
    private readonly machine: Machine,
    private readonly field: Field,
    private readonly budget: Budget,
  ) {}

  /** A minimal part of `claims`, which have no plan, that has none with the machine's background. */
  minimalCore(claims: readonly Claim[]): Core {
    let core = quickXplain(claims, this.#impossible);
    for (let weaker = this.#weakened(core); weaker; weaker = this.#weakened(core)) {
      core = quickXplain(weaker, this.#impossible);
    }
    return this.coreOf(core);
  }

  /** Whether `claims` alone have no plan, and need each of their pins for that. */
  isConflict(claims: readonly Claim[]): boolean {
    return this.#impossible(claims) && !this.#weakened(claims);
  }

  /** A minimal conflict, with what the machine is like that stands in the way. */
  coreOf(claims: readonly Claim[]): Core {
    const { machine, field } = this;
    const restricted = restrict(machine, field, claims);
    const background = backgroundOf(machine, field, claims).filter((one) => this.#isSolvable(lift(restricted, one)));
    return { field, claims, background, isMinimal: this.#isSure };
  }

  readonly #impossible = (claims: readonly Claim[]): boolean =>
    this.#isSolvable(restrict(this.machine, this.field, claims)) === false;

  /** Undefined: not known within the budget. */
  #isSolvable(machine: Machine): boolean | undefined {
    const budget = this.budget.part(SHARE);
    try {
      const found = this.field === 'buses' ? numberBuses(machine, budget) : solveSpace(machine, this.field, budget);
      return found !== null;
    } catch (error) {
      if (!(error instanceof OutOfBudget)) throw error;
      this.#isSure = false;
      return undefined;
    }
  }

  /** Where a pinned resource of a conflict has no place even without its pin, the pin is beside the point. */
  #weakened(core: readonly Claim[]): readonly Claim[] | null {
    if (this.field === 'buses') return null;
    for (const claim of core) {
      if (claim.kind !== 'pin' || isWindow(claim)) continue;
      const weaker = core.map((other): Claim => (other === claim ? { ...claim, kind: 'size' } : other));
      if (this.#impossible(weaker)) return weaker;
    }
    return null;
  }
}
