import type { Machine } from '../machine/model.js';
import type { Plan } from './plan.js';

/** A change to a machine, and what to say about it once it has worked. */
export interface Candidate {
  readonly change: string | ((plan: Plan) => string);
  readonly machine: Machine;
}

/** Ways to do one thing, the best first: the first that works is the remedy. Made one by one, as they are tried. */
export type Attempt = Iterable<Candidate>;

/** Solves a machine; null where it has no plan, or none was found within a small budget. */
export type Solve = (machine: Machine) => Plan | null;
