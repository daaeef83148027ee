import type { ListingKind, SeenFunction } from '../observation.js';

/** What one listing says of a function. */
export interface Statement {
  readonly kind: ListingKind;
  readonly fn: SeenFunction;
}
