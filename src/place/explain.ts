import type { Machine } from '../machine/model.js';
import type { Budget } from './budget.js';
import type { Field } from './claims.js';
import { claimsOf } from './claims.js';
import type { Core } from './conflict.js';
import { Inquiry } from './conflict.js';
import { pinFault } from './pin-faults.js';
import type { Infeasible } from './plan.js';
import type { Solve } from './candidate.js';
import { remediesFor } from './remedy.js';
import { constraintsOf, sameRoot, summaryOf } from './sentences.js';

export interface ExplainOptions {
  /** For finding the conflict. */
  readonly budget: Budget;
  /** For remedies: solves the whole of a changed machine. Left out: there are none. */
  readonly solve?: Solve;
}

/** Why `machine` has no solution in `field`, which is known to have none. */
export function explain(machine: Machine, field: Field, { budget, solve }: ExplainOptions): Infeasible {
  const { core, summary } = findCore(machine, field, budget);
  return {
    status: 'infeasible',
    conflict: { summary: core.isMinimal ? summary : `${summary} ${UNSURE}`, constraints: constraintsOf(machine, core) },
    remedies: solve ? remediesFor(machine, core, solve) : [],
  };
}

const UNSURE = 'There may be a shorter reason: the search for it reached its limit.';

function findCore(machine: Machine, field: Field, budget: Budget): { core: Core; summary: string } {
  const inquiry = new Inquiry(machine, field, budget);
  const claims = claimsOf(machine, field);
  if (field === 'buses') {
    const summary = sameRoot(machine);
    const background = machine.hostBridges.map((host) => ({ kind: 'bus-range', host }) as const);
    if (summary) return { core: { field, claims: [], background, isMinimal: true }, summary };
  } else {
    const fault = pinFault(machine, field, claims);
    if (fault && inquiry.isConflict(fault.claims))
      return { core: inquiry.coreOf(fault.claims), summary: fault.summary };
  }
  const core = inquiry.minimalCore(claims);
  return { core, summary: summaryOf(machine, core) };
}
