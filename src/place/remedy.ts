import type { Machine } from '../machine/model.js';
import type { Attempt, Solve } from './candidate.js';
import type { Core } from './conflict.js';
import { limitRemedies } from './remedy-limits.js';
import { moveRemedies } from './remedy-moves.js';
import { pinRemedies } from './remedy-pins.js';
import { sizeRemedies } from './remedy-sizes.js';
import type { Remedy } from './plan.js';

const MOST_REMEDIES = 6;
/** Solvings for all remedies of one conflict. */
const MOST_TRIES = 160;

/** Changes that make the machine solvable: each was tried on the whole machine. */
export function remediesFor(machine: Machine, core: Core, solve: Solve): Remedy[] {
  const remedies: Remedy[] = [];
  let tries = 0;
  for (const attempt of attempts(machine, core)) {
    for (const candidate of attempt) {
      if (remedies.length >= MOST_REMEDIES || tries >= MOST_TRIES) return remedies;
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
