import type { Bridge, HostBridge, Machine, MachineFunction } from '../machine/model.js';
import type { ConstraintSubject } from './plan.js';

/* Machines that differ from a given one in one thing. Functions are known by id. */

/** The machine with one function changed. */
export function withFunction(machine: Machine, id: string, change: (fn: MachineFunction) => MachineFunction): Machine {
  return withFunctions(machine, (fn) => [fn.id === id ? change(fn) : fn]);
}

/** The machine with every function replaced by what `change` gives for it, after its subtree was. */
export function withFunctions(machine: Machine, change: (fn: MachineFunction) => readonly MachineFunction[]): Machine {
  const all = (list: readonly MachineFunction[]): MachineFunction[] =>
    list.flatMap((fn) =>
      change(fn.bridge ? { ...fn, bridge: { ...fn.bridge, functions: all(fn.bridge.functions) } } : fn),
    );
  return {
    ...machine,
    hostBridges: machine.hostBridges.map((host) => ({ ...host, functions: all(host.functions) })),
  };
}

export const withHost = (machine: Machine, id: string, change: (host: HostBridge) => HostBridge): Machine => ({
  ...machine,
  hostBridges: machine.hostBridges.map((host) => (host.id === id ? change(host) : host)),
});

export function withBridge(machine: Machine, id: string, change: (bridge: Bridge) => Bridge): Machine {
  return withFunction(machine, id, (fn) => (fn.bridge ? { ...fn, bridge: change(fn.bridge) } : fn));
}

/** The machine with a resource or bus number pinned elsewhere, or with `pin` undefined nowhere. Windows can only be freed. */
export function withPin(machine: Machine, id: string, subject: ConstraintSubject, pin: bigint | undefined): Machine {
  const repin = <T extends { pin?: bigint }>(one: T): T => {
    const copy = { ...one };
    if (pin === undefined) delete copy.pin;
    else copy.pin = pin;
    return copy;
  };
  return withFunction(machine, id, (fn) => {
    if (subject === 'rom') return fn.rom ? { ...fn, rom: repin(fn.rom) } : fn;
    if (typeof subject === 'number') {
      return { ...fn, bars: fn.bars.map((bar) => (bar.index === subject ? repin(bar) : bar)) };
    }
    if (subject.startsWith('vf') && fn.sriov) {
      const bars = fn.sriov.bars.map((bar) => (`vf${bar.index}` === subject ? repin(bar) : bar));
      return { ...fn, sriov: { ...fn.sriov, bars } };
    }
    if (!fn.bridge) return fn;
    const kept = Object.fromEntries(Object.entries(fn.bridge.pin).filter(([key]) => key !== subject));
    const moved = pin !== undefined && (subject === 'secondary' || subject === 'subordinate');
    return { ...fn, bridge: { ...fn.bridge, pin: { ...kept, ...(moved ? { [subject]: Number(pin) } : {}) } } };
  });
}
