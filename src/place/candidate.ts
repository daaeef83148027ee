import type { Machine } from '../machine/model.js';
import type { Plan } from './plan.js';

/** A change to a machine, and what to say about it once it has worked. */
export interface Candidate {
  readonly change: string | ((plan: Plan) => string);
  readonly machine: Machine;
}

/** Solves a machine. Null: it has no plan; undefined: none was found within a small budget. */
export type Solve = (machine: Machine) => Plan | null | undefined;

export interface Found {
  readonly candidate: Candidate;
  readonly plan: Plan;
}

/** One way to help, with as many solvings as it takes to find out how far it has to go. Null: it does not help. */
export type Attempt = (solve: Solve) => Found | null;

/** The first of several candidates that works, the best first. They are made one by one, as they are tried. */
export const firstOf =
  (candidates: Iterable<Candidate>): Attempt =>
  (solve) => {
    for (const candidate of candidates) {
      const plan = solve(candidate.machine);
      if (plan) return { candidate, plan };
    }
    return null;
  };

/** The first of several candidates that works, where each that comes after one that works does so, too. */
export const leastOf =
  (candidates: readonly Candidate[]): Attempt =>
  (solve) => {
    let found: Found | null = null;
    let [low, high] = [0, candidates.length - 1];
    while (low <= high) {
      // The last first: where that does not help nothing does.
      const at: number = found ? (low + high) >> 1 : high;
      const candidate: Candidate | undefined = candidates[at];
      const plan: Plan | null | undefined = candidate && solve(candidate.machine);
      if (candidate && plan) {
        found = { candidate, plan };
        high = at - 1;
      } else if (!found) return null;
      else low = at + 1;
    }
    return found;
  };

/** The largest number below `high` that works, down to 0, where a smaller one works as soon as a larger one does. */
export function largestOf(high: bigint, candidateFor: (value: bigint) => Candidate): Attempt {
  return (solve) => {
    let found: Found | null = null;
    let [least, most] = [0n, high - 1n];
    while (least <= most) {
      const value = found ? (least + most + 1n) / 2n : 0n;
      const candidate = candidateFor(value);
      const plan = solve(candidate.machine);
      if (plan) {
        found = { candidate, plan };
        least = value + 1n;
      } else if (!found) return null;
      else most = value - 1n;
    }
    return found;
  };
}

/** One way, or where that does not help another. */
export const either =
  (one: Attempt, other: Attempt): Attempt =>
  (solve) =>
    one(solve) ?? other(solve);
