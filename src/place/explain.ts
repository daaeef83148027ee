import type { Machine } from '../machine/model.js';
import { pinArgument } from './argue-pins.js';
import { sameRoot } from './argue-buses.js';
import type { Budget } from './budget.js';
import type { Solve } from './candidate.js';
import type { Field } from './claims.js';
import { claimsOf } from './claims.js';
import type { Core } from './conflict.js';
import { fields, Inquiry, isSolvable } from './conflict.js';
import { Evidence } from './evidence.js';
import type { Infeasible } from './plan.js';
import { remediesFor } from './remedy.js';
import { constraintsOf, summaryOf } from './sentences.js';

export interface ExplainOptions {
  /** For finding the conflict. */
  readonly budget: Budget;
  /** For remedies: solves the whole of a changed machine. Left out: there are none. */
  readonly solve?: Solve;
}

/** Why `machine` has no solution in `field`, which is known to have none. */
export function explain(machine: Machine, field: Field, { budget, solve }: ExplainOptions): Infeasible {
  const core = coreOf(machine, field, budget);
  const summary = summaryOf(machine, core);
  return {
    status: 'infeasible',
    conflict: {
      summary: core.isMinimal ? summary : `${summary} ${UNSURE}`,
      constraints: constraintsOf(machine, core),
      ...(core.isMinimal ? {} : { minimal: false }),
    },
    remedies: solve ? remediesFor(machine, core, solve, (changed) => whyNot(changed, budget)) : [],
  };
}

/** For one conflict of a machine that was changed to see whether that helps. */
const WHY_STEPS = 50_000;
const UNSURE =
  'Some of the constraints may not be needed for that: the search for a smaller conflict reached its limit.';

function coreOf(machine: Machine, field: Field, budget: Budget): Core {
  const inquiry = new Inquiry(machine, budget);
  const claims = claimsOf(machine, field);
  if (field === 'buses') {
    const twins = sameRoot(machine);
    if (!twins) return inquiry.coreOf(claims, field);
    return { field, claims: [], background: twins.map((host) => ({ kind: 'bus-range', host })), isMinimal: true };
  }
  // What a pin says by itself is the shortest of conflicts, and quickly seen.
  const pins = pinArgument(new Evidence(machine, field, claims))?.claims;
  return inquiry.coreOf(pins && inquiry.isImpossible({ claims: pins, field }) ? pins : claims, field);
}

/** Why a machine has no plan; null where it has one, or where the budget does not say. */
export function whyNot(machine: Machine, budget: Budget): Core | null {
  for (const field of fields) {
    const found = isSolvable(machine, field, budget.part(WHY_STEPS));
    if (found === undefined) return null;
    if (!found) return coreOf(machine, field, budget.part(WHY_STEPS));
  }
  return null;
}
