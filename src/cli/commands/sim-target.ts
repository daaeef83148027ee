import type { HostToScan } from '../../enumerate/topology.js';
import type { Machine } from '../../machine/model.js';
import type { ConfigAccess } from '../../pci/config-access.js';
import type { Plan } from '../../place/plan.js';

/** A simulated machine to be pinned. */
export interface SimTarget {
  /** As the machine file has it, with the windows that it has. */
  readonly machine: Machine;
  /** The machine file's name. */
  readonly name: string;
  /** What pinbar programs. */
  readonly access: ConfigAccess;
  readonly hosts: readonly HostToScan[];
  /** Once it is programmed: config space as the guest sees it, and what is to be said before the table. */
  readonly handOver: (plan: Plan) => Promise<{ readonly guest: ConfigAccess; readonly said: string }>;
}
