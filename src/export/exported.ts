import type { Machine } from '../machine/model.js';
import type { Plan } from '../place/plan.js';

/** What a configuration is made of. */
export interface ExportSource {
  readonly plan: Plan;
  /** The machine that the plan is of: board, kinds of ports, ids of devices. A plan alone does not say them. */
  readonly machine?: Machine;
  /** For formats that edit a device tree: the tree that the machine has without the plan. */
  readonly base?: Uint8Array;
  readonly options: ExportOptions;
}

export interface ExportOptions {
  /** CPU address of config space, where neither board nor base tree says it. */
  readonly ecam?: bigint;
}

/** A configuration, and what it does not say of the plan or the reader has to add, in whole sentences. */
export interface Exported {
  readonly content: string | Uint8Array;
  readonly notes: readonly string[];
}
