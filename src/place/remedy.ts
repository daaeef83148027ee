import type { Machine } from '../machine/model.js';
import type { Core } from './conflict.js';
import { limitRemedies } from './remedy-limits.js';
import { moveRemedies } from './remedy-moves.js';
import { pinRemedies } from './remedy-pins.js';
import { sizeRemedies } from './remedy-sizes.js';
import type { Plan, Remedy } from './plan.js';

/** A change to a machine, and what to say about it once it has worked. */
export interface Candidate {
  readonly change: string | ((plan: Plan) => string);
  readonly machine: Machine;
}

/** Ways to do one thing, the best first: the first that works is the remedy. Made one by one, as they are tried. */
export type Attempt = Iterable<Candidate>;

/** Solves a machine; null where it has no plan, or none was found within a small budget. */
export type Solve = (machine: Machine) => Plan | null;

const MOST_REMEDIES = 6;
/** Solvings for all remedies of one conflict. */
const MOST_TRIES = 160;

/** Changes that make the machine solvable: each was tried on the whole machine. */
export function remediesFor(machine: Machine, core: Core, solve: Solve, stop?: () => boolean): Remedy[] {
  const remedies: Remedy[] = [];
  let tries = 0;
  for (const attempt of attempts(machine, core)) {
    for (const candidate of attempt) {
      if (remedies.length >= MOST_REMEDIES || tries >= MOST_TRIES || stop?.()) return remedies;
      tries++;
      const plan = solve(candidate.machine);
      if (!plan) continue;
      const change = typeof candidate.change === 'string' ? candidate.change : candidate.change(plan);
      if (!remedies.some((known) => known.change === change)) remedies.push({ change, verified: true });
      break;
    }
  }
  return remedies;
}

function* attempts(machine: Machine, core: Core): Iterable<Attempt> {
  yield* moveRemedies(machine, core);
  yield* limitRemedies(machine, core);
  yield* pinRemedies(machine, core);
  yield* sizeRemedies(machine, core);
}
