import { hintsOf } from '../hints.js';
import type { Machine, MachineFunction } from '../../machine/model.js';
import { deviceFunction } from '../../pci/bdf.js';

export interface NumberedBus {
  readonly number: number;
  subordinate: number;
  /** Null on a root bus. */
  readonly bridge: MachineFunction | null;
  readonly parent: NumberedBus | null;
  /** In slot order. */
  readonly functions: readonly MachineFunction[];
}

/**
 * Buses as SeaBIOS and EDK2 number them: depth first, and a bridge with a hint for buses keeps that many behind its
 * secondary bus. In ascending order; null: there are not enough.
 */
export function numberBuses(machine: Machine): NumberedBus[] | null {
  const buses: NumberedBus[] = [];
  const walk = (
    number: number,
    parent: NumberedBus | null,
    bridge: MachineFunction | null,
    list: readonly MachineFunction[],
  ) => {
    const functions = list.toSorted((a, b) => deviceFunction(a.slot) - deviceFunction(b.slot));
    const bus: NumberedBus = { number, subordinate: number, bridge, parent, functions };
    buses.push(bus);
    let last = number;
    for (const fn of functions) {
      if (!fn.bridge) continue;
      const secondary = last + 1;
      last = walk(secondary, bus, fn, fn.bridge.functions);
      last = Math.max(last, secondary + hintsOf(fn.bridge).buses);
      const behind = buses.find((one) => one.bridge === fn);
      if (behind) behind.subordinate = last;
    }
    bus.subordinate = last;
    return last;
  };
  for (const host of machine.hostBridges) if (walk(host.buses[0], null, null, host.functions) > 255) return null;
  return buses.sort((a, b) => a.number - b.number);
}
