import type { Machine } from '../machine/model.js';
import type { Field } from './claims.js';
import { claimsOf } from './claims.js';
import type { Core } from './conflict.js';
import { isConflict, minimalCore, withBackground } from './conflict.js';
import { pinFault } from './pin-faults.js';
import type { Infeasible } from './plan.js';
import type { Solve } from './candidate.js';
import { remediesFor } from './remedy.js';
import { constraintsOf, sameRoot, summaryOf } from './sentences.js';

export interface ExplainOptions {
  /** For remedies: solves the whole of a changed machine. */
  readonly solve: Solve;
  readonly stop?: () => boolean;
  readonly remedies?: boolean;
}

/** Why `machine` has no solution in `field`, which is known to have none. */
export function explain(machine: Machine, field: Field, options: ExplainOptions): Infeasible {
  const { core, summary } = findCore(machine, field, options.stop);
  const constraints = constraintsOf(machine, core);
  return {
    status: 'infeasible',
    conflict: { summary, constraints },
    remedies: options.remedies === false ? [] : remediesFor(machine, core, options.solve, options.stop),
  };
}

function findCore(machine: Machine, field: Field, stop: (() => boolean) | undefined): { core: Core; summary: string } {
  const claims = claimsOf(machine, field);
  if (field === 'buses') {
    const summary = sameRoot(machine);
    const background = machine.hostBridges.map((host) => ({ kind: 'bus-range', host }) as const);
    if (summary) return { core: { field, claims: [], background }, summary };
  } else {
    const fault = pinFault(machine, field, claims);
    if (fault && isConflict(machine, field, fault.claims, stop)) {
      return { core: withBackground(machine, field, fault.claims, stop), summary: fault.summary };
    }
  }
  const core = minimalCore(machine, field, claims, stop);
  return { core, summary: summaryOf(machine, core) };
}
