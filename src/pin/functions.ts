import type { Machine, MachineFunction } from '../machine/model.js';

/** The machine with every function replaced by what `edit` makes of it, parents before children. */
export function mapFunctions(machine: Machine, edit: (fn: MachineFunction) => MachineFunction): Machine {
  const walk = (functions: readonly MachineFunction[]): MachineFunction[] =>
    functions.map((fn) => {
      const edited = edit(fn);
      return edited.bridge
        ? { ...edited, bridge: { ...edited.bridge, functions: walk(edited.bridge.functions) } }
        : edited;
    });
  return { ...machine, hostBridges: machine.hostBridges.map((host) => ({ ...host, functions: walk(host.functions) })) };
}
