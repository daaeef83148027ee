import { enumerate, type EnumerateOptions } from '../enumerate/enumerate.js';
import type { HostToScan, Topology } from '../enumerate/topology.js';
import type { Machine } from '../machine/model.js';
import type { ConfigAccess } from '../pci/config-access.js';
import { place, type PlaceOptions } from '../place/place.js';
import type { Plan } from '../place/plan.js';
import { Exit, Problem } from '../problem/problem.js';
import { program } from '../program/program.js';
import { programme, type Programme, type ProgrammeOptions } from '../program/programme.js';

export interface PinOptions {
  readonly enumerate?: EnumerateOptions;
  readonly place?: PlaceOptions;
  readonly programme?: ProgrammeOptions;
}

export interface Pinned {
  /** The machine as it was found, addresses as they were. */
  readonly topology: Topology;
  readonly machine: Machine;
  readonly plan: Plan;
  /** To be carried out again after each reset: `program(access, programme)`. */
  readonly programme: Programme;
}

/**
 * The spine: looks at a machine, makes it into a plan, and makes the machine follow it.
 * @param prepare gives `place` its input: what was found, with pins and everything that config space does not tell
 * @throws Problem `no-plan` (exit 2; facts: `result`, what `place` said), `register-not-kept`, `plan-topology-mismatch`
 */
export async function pin(
  access: ConfigAccess,
  hosts: readonly HostToScan[],
  prepare: (topology: Topology) => Machine | Promise<Machine>,
  options: PinOptions = {},
): Promise<Pinned> {
  const topology = await enumerate(access, hosts, options.enumerate);
  const machine = await prepare(topology);
  const plan = planOf(machine, options.place);
  const steps = programme(topology, plan, options.programme);
  await program(access, steps);
  return { topology, machine, plan, programme: steps };
}

/** The plan for a machine. @throws Problem `no-plan` (exit 2; facts: `result`) */
export function planOf(machine: Machine, options: PlaceOptions = {}): Plan {
  const result = place(machine, options);
  if (result.status === 'placed') return result;
  const summary = result.status === 'infeasible' ? result.conflict.summary : result.summary;
  const remedy = result.status === 'infeasible' ? result.remedies[0]?.change : undefined;
  throw new Problem('no-plan', summary, {
    exit: Exit.noPlan,
    facts: { result },
    ...(remedy === undefined ? {} : { hint: remedy }),
  });
}
