import type { Machine } from '../machine/model.js';
import { Budget, OutOfBudget } from './budget.js';
import { numberBuses } from './bus-numbers.js';
import type { Background } from './background.js';
import { backgroundOf, lift } from './background.js';
import type { Claim, Field } from './claims.js';
import { restrict } from './claims.js';
import { isWindow } from './names.js';
import { quickXplain } from './quick-xplain.js';
import { solveSpace } from './solve.js';

/** What one solving of a part of the machine may cost, in steps. */
const SHARE = 60_000;

export interface Core {
  readonly field: Field;
  /** Cannot hold together; any one less can. */
  readonly claims: readonly Claim[];
  /** What the machine is like that stands in the way: without any one of these there would be a plan. */
  readonly background: readonly Background[];
}

/** Whether one field of the machine has a solution; undefined: not known within `steps`. */
export function isSolvable(machine: Machine, field: Field, stop?: () => boolean, steps = SHARE): boolean | undefined {
  const budget = new Budget(steps, stop);
  try {
    return field === 'buses' ? numberBuses(machine, budget) !== null : solveSpace(machine, field, budget) !== null;
  } catch (error) {
    if (error instanceof OutOfBudget) return undefined;
    throw error;
  }
}

/** A minimal part of `claims` that has no plan with the machine's background; `claims` has none. */
export function minimalCore(machine: Machine, field: Field, claims: readonly Claim[], stop?: () => boolean): Core {
  const impossible = (some: readonly Claim[]) => isSolvable(restrict(machine, field, some), field, stop) === false;
  let core = quickXplain(claims, impossible);
  for (let weaker = weakened(field, core, impossible); weaker; weaker = weakened(field, core, impossible)) {
    core = quickXplain(weaker, impossible);
  }
  return withBackground(machine, field, core, stop);
}

/** Adds what the machine is like that stands in the way of `claims`, a minimal conflict. */
export function withBackground(machine: Machine, field: Field, claims: readonly Claim[], stop?: () => boolean): Core {
  const restricted = restrict(machine, field, claims);
  const background = backgroundOf(machine, field, claims).filter(
    (one) => isSolvable(lift(restricted, one), field, stop) === true,
  );
  return { field, claims, background };
}

/** Where a pinned resource of a conflict has no place even without its pin, the pin is beside the point. */
function weakened(
  field: Field,
  core: readonly Claim[],
  impossible: (some: readonly Claim[]) => boolean,
): readonly Claim[] | null {
  if (field === 'buses') return null;
  for (const claim of core) {
    if (claim.kind !== 'pin' || isWindow(claim)) continue;
    const weaker = core.map((other) => (other === claim ? unpinned(claim) : other));
    if (impossible(weaker)) return weaker;
  }
  return null;
}

/** Whether `claims` alone have no plan, and need each of their pins for that. */
export function isConflict(machine: Machine, field: Field, claims: readonly Claim[], stop?: () => boolean): boolean {
  const impossible = (some: readonly Claim[]) => isSolvable(restrict(machine, field, some), field, stop) === false;
  return impossible(claims) && !weakened(field, claims, impossible);
}

const unpinned = (claim: Claim): Claim => (claim.kind === 'pin' ? { ...claim, kind: 'size' } : claim);
