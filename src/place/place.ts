import type { Machine } from '../machine/model.js';
import { assemble } from './assemble.js';
import { Budget, OutOfBudget } from './budget.js';
import { numberBuses } from './bus-numbers.js';
import { explain } from './explain.js';
import type { Field } from './claims.js';
import type { Plan, PlanResult, Undecided } from './plan.js';
import { solveSpace } from './solve.js';

export interface PlaceOptions {
  /** Steps that the exact search may take, each a few microseconds; the same number gives the same result everywhere. */
  readonly steps?: number;
  /** Asked now and then; the search ends once it says true. This is how a caller with a clock sets a time limit. */
  readonly stop?: () => boolean;
  /** False: a conflict is not followed by remedies, which take solving again. */
  readonly remedies?: boolean;
}

export const DEFAULT_STEPS = 4_000_000;
/** For each remedy that is tried. */
const REMEDY_STEPS = 20_000;

/**
 * Finds bus numbers, addresses and windows for everything in `machine`, or says why there are none. Pure: the same input
 * gives the same result.
 */
export function place(machine: Machine, options: PlaceOptions = {}): PlanResult {
  const steps = options.steps ?? DEFAULT_STEPS;
  try {
    const found = solve(machine, new Budget(steps, options.stop));
    if (typeof found !== 'string') return found;
    return explain(machine, found, { ...options, solve: (changed) => tried(changed, options.stop) });
  } catch (error) {
    if (error instanceof OutOfBudget) return undecided(steps, options.stop?.() ?? false);
    throw error;
  }
}

/** The plan, or what there is no solution for. */
function solve(machine: Machine, budget: Budget): Plan | Field {
  const buses = numberBuses(machine, budget);
  if (!buses) return 'buses';
  const memory = solveSpace(machine, 'memory', budget);
  if (!memory) return 'memory';
  const io = solveSpace(machine, 'io', budget);
  return io ? assemble(machine, buses, [...io, ...memory]) : 'io';
}

function tried(machine: Machine, stop: (() => boolean) | undefined): Plan | null {
  try {
    const found = solve(machine, new Budget(REMEDY_STEPS, stop));
    return typeof found === 'string' ? null : found;
  } catch (error) {
    if (error instanceof OutOfBudget) return null;
    throw error;
  }
}

function undecided(steps: number, stopped: boolean): Undecided {
  const limit = stopped ? 'its time limit' : `its limit of ${steps} steps`;
  const summary = `the search reached ${limit} before it found a plan or proved that there is none; give it more, or pin less`;
  return { status: 'undecided', summary };
}
