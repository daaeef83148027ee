import type { SeenBar, SeenFunction, Topology } from '../enumerate/topology.js';
import { deviceFunction, formatBdf, type Bdf } from '../pci/bdf.js';
import type { Plan, PlannedBar, PlannedBridge, PlannedFunction } from '../place/plan.js';
import { Exit, Problem } from '../problem/problem.js';

/** A function that was found, and what the plan says of it. `at` is its address in the plan. */
export interface Matched {
  readonly at: Bdf;
  readonly seen: SeenFunction;
  readonly planned: PlannedFunction;
  readonly bridge: PlannedBridge | undefined;
}

const key = (at: Bdf) => `${at.segment}:${at.bus}:${deviceFunction(at)}`;

const mismatch = (message: string) =>
  new Problem('plan-topology-mismatch', message, {
    exit: Exit.outside,
    hint: 'make the plan from the machine as it is now',
  });

/**
 * Pairs every function of a topology with the plan, by place: host bridge, then slot by slot, so that bus numbers and ids
 * are the plan's own. Level by level: every bridge comes before all that lies behind bridges of its level.
 * @throws Problem `plan-topology-mismatch` where one has a function, BAR or bridge that the other has not
 */
export function matchPlan(topology: Topology, plan: Plan): Matched[] {
  const functions = new Map(plan.functions.map((fn) => [key(fn.address), fn]));
  const bridges = new Map(plan.bridges.map((bridge) => [key(bridge.address), bridge]));
  const matched: Matched[] = [];
  let level = topology.hosts.flatMap(({ buses, functions: list }) =>
    list.map((seen) => ({ seen, at: { ...seen.at, bus: buses[0] } })),
  );
  while (level.length > 0) {
    level = level.flatMap(({ seen, at }) => {
      const planned = functions.get(key(at));
      const bridge = bridges.get(key(at));
      if (!planned) {
        throw mismatch(`the machine has a function at ${formatBdf(seen.at)}; the plan has none at ${formatBdf(at)}`);
      }
      if ((seen.bridge === null) !== (bridge === undefined)) {
        throw mismatch(
          `${planned.id} (${formatBdf(at)}) is ${seen.bridge ? 'a' : 'no'} bridge, and the plan disagrees`,
        );
      }
      functions.delete(key(at));
      compareBars(`${planned.id} (${formatBdf(at)})`, seen, planned);
      matched.push({ at, seen, planned, bridge });
      if (!seen.bridge || !bridge) return [];
      return seen.bridge.functions.map((child) => ({ seen: child, at: { ...child.at, bus: bridge.secondary } }));
    });
  }
  for (const { id, address } of functions.values()) {
    throw mismatch(`the plan has ${id} at ${formatBdf(address)}; the machine has no such function`);
  }
  return matched;
}

function compareBars(who: string, seen: SeenFunction, planned: PlannedFunction): void {
  const word = (bars: readonly (SeenBar | PlannedBar)[]) =>
    bars.map(({ index, type }) => `${index} ${type}`).join(', ');
  const same = (what: string, a: readonly SeenBar[], b: readonly PlannedBar[]) => {
    if (word(a) !== word(b))
      throw mismatch(`${who} has ${what} ${word(a) || 'none'}; the plan has ${word(b) || 'none'}`);
    a.forEach(({ index, size }, i) => {
      const size2 = b[i]?.size;
      if (size !== null && size !== size2) {
        throw mismatch(`${who}: ${what} ${index} has ${size} bytes in the machine, ${size2 ?? 0n} in the plan`);
      }
    });
  };
  same('BARs', seen.bars, planned.bars);
  // Without a VF there is nothing to place.
  same('VF BARs', seen.sriov?.totalVfs ? seen.sriov.bars : [], planned.sriov?.bars ?? []);
  if ((seen.rom === null) !== (planned.rom === undefined)) {
    throw mismatch(`${who} has ${seen.rom ? 'a' : 'no'} ROM, and the plan disagrees`);
  }
}
