import type { MachineFunction } from '../../src/machine/model.js';
import type { PlannedBridge, PlannedFunction } from '../../src/place/plan.js';

export const x = (value: bigint) => `0x${value.toString(16)}`;

/** A function of the machine beside what the plan says of it. */
export interface Checked {
  readonly fn: MachineFunction;
  readonly planned: PlannedFunction;
  /** The function above, null on a root bus. */
  readonly parent: Checked | null;
  readonly host: number;
  readonly bridge: PlannedBridge | null;
  readonly children: Checked[];
}
