import type { Machine } from '../machine/model.js';
import type { Attempt, Solve } from './candidate.js';
import type { Core } from './conflict.js';
import type { Remedy } from './plan.js';
import { boardRemedies } from './remedy-board.js';
import { limitRemedies } from './remedy-limits.js';
import { moveRemedies } from './remedy-moves.js';
import { pinRemedies } from './remedy-pins.js';
import { rangeRemedies } from './remedy-ranges.js';
import { sizeRemedies } from './remedy-sizes.js';

const MOST_REMEDIES = 6;
/** Solvings for all remedies of one conflict. */
const MOST_TRIES = 160;

/** Changes that make the machine solvable: each was tried on the whole machine. */
export function remediesFor(machine: Machine, core: Core, solve: Solve): Remedy[] {
  const remedies: Remedy[] = [];
  let tries = 0;
  const counted: Solve = (changed) => (tries++ < MOST_TRIES ? solve(changed) : undefined);
  for (const attempt of attempts(machine, core)) {
    if (remedies.length >= MOST_REMEDIES || tries >= MOST_TRIES) break;
    const found = attempt(counted);
    if (!found) continue;
    const { change } = found.candidate;
    const text = typeof change === 'string' ? change : change(found.plan);
    if (!remedies.some((known) => known.change === text)) remedies.push({ change: text, verified: true });
  }
  return remedies;
}

function* attempts(machine: Machine, core: Core): Iterable<Attempt> {
  yield* moveRemedies(machine, core);
  yield* boardRemedies(machine, core);
  yield* limitRemedies(machine, core);
  yield* rangeRemedies(machine, core);
  yield* pinRemedies(machine, core);
  yield* sizeRemedies(machine, core);
}
