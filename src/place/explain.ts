import type { Machine } from '../machine/model.js';
import type { Infeasible } from './plan.js';

/** Why a machine has no plan. */
export function explain(machine: Machine): Infeasible {
  return {
    status: 'infeasible',
    conflict: { summary: `no plan for ${machine.hostBridges.map((host) => host.id).join(', ')}`, constraints: [] },
    remedies: [],
  };
}
