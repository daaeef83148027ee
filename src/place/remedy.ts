import type { Machine } from '../machine/model.js';
import { eachFunction } from '../machine/model.js';
import type { Attempt, Found, Solve } from './candidate.js';
import type { Claim } from './claims.js';
import type { Core } from './conflict.js';
import { Excerpts } from './excerpt.js';
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
/** Changes that one remedy may consist of, where a machine has several conflicts; and remedies of that kind. */
const MOST_CHANGES = 3;
const MOST_COMBINED = 3;

/** Says why a machine has no plan; null where it has one, or where that is not known. */
export type Inquire = (machine: Machine) => Core | null;

/** Changes that make the machine solvable: each was tried on the whole machine. */
export function remediesFor(machine: Machine, core: Core, solve: Solve, inquire?: Inquire): Remedy[] {
  const changes = new Set<string>();
  let tries = 0;
  const counted: Solve = (changed) => (tries++ < MOST_TRIES ? solve(changed) : undefined);
  for (const attempt of attempts(machine, core)) {
    if (changes.size >= MOST_REMEDIES || tries >= MOST_TRIES) break;
    const found = attempt(counted);
    if (found) changes.add(textOf(found));
  }
  if (changes.size === 0 && inquire) {
    const together = { solve: counted, inquire, isOver: () => changes.size >= MOST_COMBINED || tries >= MOST_TRIES };
    for (const change of combined(machine, core, together, MOST_CHANGES)) {
      changes.add(change);
      if (together.isOver()) break;
    }
  }
  return [...changes].map((change) => ({ change, verified: true }));
}

function* attempts(machine: Machine, core: Core): Iterable<Attempt> {
  yield* moveRemedies(machine, core);
  yield* boardRemedies(machine, core);
  yield* limitRemedies(machine, core);
  yield* rangeRemedies(machine, core);
  yield* pinRemedies(machine, core);
  yield* sizeRemedies(machine, core);
}

const textOf = ({ candidate: { change }, plan }: Found): string => (typeof change === 'string' ? change : change(plan));

interface Together {
  readonly solve: Solve;
  readonly inquire: Inquire;
  readonly isOver: () => boolean;
}

/** Several changes, one for each of several conflicts. The text of the first is of a plan of its conflict alone. */
function* combined(machine: Machine, core: Core, together: Together, most: number): Iterable<string> {
  const solvePart: Solve = (changed) => together.solve(partOf(changed, core));
  for (const attempt of attempts(machine, core)) {
    if (together.isOver()) return;
    const first = attempt(solvePart);
    if (!first) continue;
    const { machine: changed } = first.candidate;
    const next = together.inquire(changed);
    if (!next) continue;
    let isEnough = false;
    for (const second of attempts(changed, next)) {
      if (together.isOver()) return;
      const found = second(together.solve);
      if (!found) continue;
      isEnough = true;
      yield `${textOf(first)}; and ${textOf(found)}`;
      break;
    }
    if (isEnough || most <= 2) continue;
    for (const rest of combined(changed, next, together, most - 1)) {
      yield `${textOf(first)}; ${rest}`;
      break;
    }
  }
}

/** A changed machine with nothing in it but what the conflict names. */
function partOf(machine: Machine, core: Core): Machine {
  const functions = new Map(
    machine.hostBridges.flatMap((host) => [...eachFunction(host.functions)].map(({ fn }) => [fn.id, fn] as const)),
  );
  const claims = core.claims.flatMap((claim): Claim[] => {
    if (claim.kind === 'reserved') return [claim];
    const fn = functions.get(claim.fn.id);
    return fn ? [{ ...claim, fn }] : [];
  });
  return new Excerpts(machine).of(claims);
}
