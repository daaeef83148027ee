import type { Machine, MachineFunction } from '../machine/model.js';
import { deviceFunction, formatBdf, type Bdf } from '../pci/bdf.js';
import type { SeenFunction, Topology } from './topology.js';

/** What a machine calls the functions that were found where it is: they are in the same slots, whatever their bus numbers. */
export function idsOf(topology: Topology, machine: Machine): (at: Bdf) => string | undefined {
  const ids = new Map<string, string>();
  const walk = (seen: readonly SeenFunction[], functions: readonly MachineFunction[]) => {
    for (const { at, bridge } of seen) {
      const fn = functions.find(({ slot }) => deviceFunction(slot) === deviceFunction(at));
      if (fn) ids.set(formatBdf(at), fn.id);
      walk(bridge?.functions ?? [], fn?.bridge?.functions ?? []);
    }
  };
  topology.hosts.forEach((host) =>
    walk(host.functions, machine.hostBridges.find(({ id }) => id === host.id)?.functions ?? []),
  );
  return (at) => ids.get(formatBdf(at));
}
