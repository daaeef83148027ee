import type { Claim } from './claims.js';

/** Why claims cannot hold together, in words that a person can check without a search. */
export interface Argument {
  /** What it speaks of: some of the claims, or all. */
  readonly claims: readonly Claim[];
  readonly text: string;
}
