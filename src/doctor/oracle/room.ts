import { MiB } from '../../address/kinds.js';
import type { Unplaced } from '../../guests/prediction.js';
import { eachFunction, type Machine, type MachineFunction } from '../../machine/model.js';
import { Budget } from '../../place/budget.js';
import { isSolvable } from '../../place/conflict.js';
import { place } from '../../place/place.js';
import type { Plan } from '../../place/plan.js';

/** Steps of the search: about a second at most. */
const STEPS = 10_000;

/**
 * Whether all memory BARs of a machine have a place, in any order: a plan, `none` where there is provably none, undefined
 * where it was not found out within the limit. I/O ports, which devices do without, are left out.
 */
export function roomFor(machine: Machine): Plan | 'none' | undefined {
  const memory = memoryOf(machine);
  const solvable = isSolvable(memory, 'memory', new Budget(STEPS));
  if (solvable === false) return 'none';
  if (solvable === undefined) return undefined;
  const plan = place(memory, { remedies: false, steps: STEPS, stop: stopAfter(STEPS) });
  return plan.status === 'placed' ? plan : undefined;
}

/** Explaining a conflict is not wanted either. */
const stopAfter = (steps: number) => {
  let asked = 0;
  return () => ++asked * 256 > steps;
};

function memoryOf(machine: Machine): Machine {
  const strip = (fn: MachineFunction): MachineFunction => {
    const { id, slot, bridge, sriov } = fn;
    // A ROM that finds no room is not missed.
    return {
      id,
      slot,
      ...(sriov ? { sriov } : {}),
      bars: fn.bars.filter(({ type }) => type !== 'io'),
      ...(bridge ? { bridge: { ...bridge, functions: bridge.functions.map(strip) } } : {}),
    };
  };
  return {
    ...machine,
    // Host bridges' windows lie beside RAM already.
    ram: [],
    hostBridges: machine.hostBridges.map((host) => ({
      ...host,
      windows: host.windows.filter(({ type, base, size }) => type !== 'io' && base + size > MiB),
      functions: host.functions.map(strip),
    })),
  };
}

/** What is without an address and is missed: memory BARs and VF BAR groups of devices. */
export function missed(machine: Machine, unplaced: readonly Unplaced[]): Unplaced[] {
  const functions = new Map(
    machine.hostBridges.flatMap(({ functions: list }) => [...eachFunction(list)]).map(({ fn }) => [fn.id, fn]),
  );
  return unplaced.filter(({ id, bar }) => {
    const fn = functions.get(id);
    if (!fn || fn.bridge || bar === 'rom') return false;
    return typeof bar !== 'number' || fn.bars.some(({ index, type }) => index === bar && type !== 'io');
  });
}
