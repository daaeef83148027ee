import type { Machine, MachineFunction } from '../machine/model.js';
import { ramFault, type RamFault } from '../machine/ram-layout.js';
import { assemble } from './assemble.js';
import { Budget, OutOfBudget } from './budget.js';
import { numberBuses } from './bus-numbers.js';
import { explain } from './explain.js';
import type { Field } from './claims.js';
import { keeping } from './keep.js';
import type { Plan, PlanResult, Undecided } from './plan.js';
import { explainRam } from './ram-conflict.js';
import { asksToResize, placeResizable } from './resize.js';
import { solveSpace } from './solve.js';

export interface PlaceOptions {
  /** Steps that the exact search may take, each some tens of microseconds; the same number gives the same result everywhere. */
  readonly steps?: number;
  /** Asked now and then; the search ends once it says true. This is how a caller with a clock sets a time limit. */
  readonly stop?: () => boolean;
  /** False: a conflict is not followed by remedies, which take solving again. */
  readonly remedies?: boolean;
  /** An earlier plan: as much as can stays where it was, functions and bridges being known by id. A preference, no pin. */
  readonly keep?: Plan;
}

export const DEFAULT_STEPS = 2_000_000;
/** For finding out why there is no plan. */
const EXPLAIN_STEPS = 500_000;
/** For all remedies that are tried, and for each. */
const REMEDIES_STEPS = 500_000;
const REMEDY_STEPS = 10_000;

/** For each try to make resizable BARs larger, or to leave something where it was. */
const TRY_STEPS = 50_000;

/**
 * Finds bus numbers, addresses and windows for everything in `machine`, and the sizes of its resizable BARs, or says why
 * there are none. Pure: the same input gives the same result.
 */
export function place(machine: Machine, options: PlaceOptions = {}): PlanResult {
  const { keep, steps = DEFAULT_STEPS, stop } = options;
  const budget = new Budget(steps, stop);
  const decide = (changed: Machine) => placeSized(changed, options);
  const attempt = (changed: Machine) => planWithin(changed, budget, TRY_STEPS);
  const finish = keep ? (changed: Machine) => keeping(changed, keep, { decide, attempt }) : decide;
  return asksToResize(machine) ? placeResizable(machine, { decide, attempt, finish }) : finish(machine);
}

/** As {@link place}, for BARs that have one size each. */
function placeSized(machine: Machine, options: PlaceOptions): PlanResult {
  const { steps = DEFAULT_STEPS, stop } = options;
  const found = attempt(machine, new Budget(steps, stop));
  if (found === null) return undecided(steps, stop?.() ?? false);
  if (isPlan(found)) return found;
  const remedies = new Budget(REMEDIES_STEPS, stop);
  const solve = (changed: Machine) => planWithin(changed, remedies, REMEDY_STEPS);
  const wanted = options.remedies !== false;
  const budget = new Budget(EXPLAIN_STEPS, stop);
  const why =
    typeof found === 'string'
      ? explain(machine, found, { budget, ...(wanted ? { solve } : {}) })
      : explainRam(machine, found, wanted ? solve : undefined);
  return wanted && stop?.() ? { ...why, stopped: true } : why;
}

/** The plan, with at most `steps` of the budget. Null: there is none; undefined: not known. */
function planWithin(machine: Machine, budget: Budget, steps: number): Plan | null | undefined {
  if (budget.isSpent) return undefined;
  const found = attempt(machine, budget.part(steps));
  return found === null ? undefined : isPlan(found) ? found : null;
}

type Outcome = Plan | Field | RamFault;

const isPlan = (outcome: Outcome | null): outcome is Plan =>
  typeof outcome === 'object' && outcome !== null && 'status' in outcome;

/** As {@link solve}; null where the budget was not enough. */
function attempt(machine: Machine, budget: Budget): Outcome | null {
  try {
    return solve(machine, budget);
  } catch (error) {
    if (error instanceof OutOfBudget) return null;
    throw error;
  }
}

/** The plan, or what there is no solution for: RAM that cannot be where it is, or a field. */
function solve(machine: Machine, budget: Budget): Outcome {
  // However easy it is: who solves again and again comes to an end.
  budget.spend(machine.hostBridges.reduce((sum, { functions }) => sum + count(functions), 0) >> 4);
  const fault = ramFault(machine);
  if (fault) return fault;
  const buses = numberBuses(machine, budget);
  if (!buses) return 'buses';
  const memory = solveSpace(machine, 'memory', budget);
  if (!memory) return 'memory';
  const io = memory.some(({ isMixed }) => isMixed) ? solveSpace(machine, 'io', budget) : [];
  return io ? assemble(machine, buses, { io, memory }) : 'io';
}

const count = (functions: readonly MachineFunction[]): number =>
  functions.reduce((sum, { bridge }) => (bridge ? sum + count(bridge.functions) : sum), functions.length);

function undecided(steps: number, stopped: boolean): Undecided {
  const limit = stopped ? 'its time limit' : `its limit of ${steps} steps`;
  const more = stopped ? 'a longer one' : 'a time limit in place of the steps';
  const summary = `the search reached ${limit} before it found a plan or proved that there is none; give it ${more} (such as --time-limit 10min), or pin less`;
  return { status: 'undecided', summary };
}
