import type { Plan, ConstraintSubject } from '../place/plan.js';
import type { Size } from '../address/kinds.js';

/** What a guest will have done to a machine by itself: a plan, less what it leaves without an address. */
export interface Prediction extends Omit<Plan, 'status'> {
  readonly status: 'placed' | 'partial';
  /** Who places, in their order: firmware, kernel. */
  readonly guests: readonly PredictedGuest[];
  readonly unplaced: readonly Unplaced[];
  /** The guest gives up before it has placed anything, and why. */
  readonly stopped?: string;
}

export interface PredictedGuest {
  /** As asked for: `linux-6.9`. */
  readonly name: string;
  /** The model that was used: `linux-6.1`. */
  readonly model: string;
}

/** A BAR, ROM, VF BAR group or bridge window that gets no address. */
export interface Unplaced {
  readonly id: string;
  readonly bar: ConstraintSubject;
  readonly size: Size;
  /** In the guest's own words, where it has some. */
  readonly reason: string;
}
