import type { SeenFunction, Topology } from '../enumerate/topology.js';
import { noReserve, type Bar, type BridgePins, type Machine, type MachineFunction } from '../machine/model.js';
import { formatSlot, type Slot } from '../pci/bdf.js';
import type { Plan, PlannedBar } from '../place/plan.js';

/** A machine and where everything in it lies. */
export interface Placed {
  readonly machine: Machine;
  readonly plan: Plan;
}

/** What has come and gone since a machine was placed. */
export interface Changes {
  /** Functions that were not there, or were others; of those behind a bridge that is new, the bridge alone. */
  readonly added: readonly MachineFunction[];
  /** Functions that are no longer there, by the same rule. */
  readonly removed: readonly MachineFunction[];
}

/**
 * A machine as it is now, with everything that an earlier plan has placed pinned where it was. Functions are compared slot by
 * slot: what is there under another name, or has another name's slot, is told apart by what it is.
 * @param windows `keep`: windows and bus numbers stay, too; `open`: not those of bridges that have something new behind
 * them. Either way these keep no hotplug room any more: it is what the new functions get.
 */
export function keepPlan(
  machine: Machine,
  earlier: Placed,
  windows: 'keep' | 'open',
): Changes & { readonly machine: Machine } {
  const functions = new Map(earlier.plan.functions.map((fn) => [fn.id, fn]));
  const bridges = new Map(earlier.plan.bridges.map((bridge) => [bridge.id, bridge]));
  const added: MachineFunction[] = [];
  const removed: MachineFunction[] = [];

  /** With whether there is something new behind it. */
  const keep = (now: MachineFunction, before: MachineFunction): { fn: MachineFunction; grew: boolean } => {
    const planned = functions.get(before.id);
    const pinned: MachineFunction = {
      ...now,
      bars: pinBars(now.bars, planned?.bars),
      ...(now.rom && planned?.rom ? { rom: { ...now.rom, pin: planned.rom.address } } : {}),
      ...(now.sriov ? { sriov: { ...now.sriov, bars: pinBars(now.sriov.bars, planned?.sriov?.bars) } } : {}),
    };
    const bridge = bridges.get(before.id);
    if (!now.bridge || !before.bridge || !bridge) return { fn: pinned, grew: false };
    const below = list(now.bridge.functions, before.bridge.functions);
    const { io, memory, prefetchable } = bridge;
    // What is pinned already is what firmware will do whatever was before.
    const { secondary = bridge.secondary, subordinate = bridge.subordinate } = now.bridge.pin;
    const all: BridgePins = {
      secondary,
      subordinate,
      ...(io ? { io } : {}),
      ...(memory ? { memory } : {}),
      ...(prefetchable ? { prefetchable } : {}),
    };
    const pin = below.grew && windows === 'open' ? { ...now.bridge.pin, secondary } : all;
    const reserve = below.grew ? noReserve : now.bridge.reserve;
    return {
      fn: { ...pinned, bridge: { ...now.bridge, pin, reserve, functions: below.functions } },
      grew: below.grew,
    };
  };

  const list = (now: readonly MachineFunction[], before: readonly MachineFunction[]) => {
    const slots = new Map(before.map((fn) => [formatSlot(fn.slot), fn]));
    let grew = false;
    const kept = now.map((fn) => {
      const same = slots.get(formatSlot(fn.slot));
      if (!same || !alike(fn, same)) {
        added.push(fn);
        grew = true;
        return fn;
      }
      slots.delete(formatSlot(fn.slot));
      const one = keep(fn, same);
      grew ||= one.grew;
      return one.fn;
    });
    removed.push(...slots.values());
    return { functions: kept, grew };
  };

  const hosts = new Map(earlier.machine.hostBridges.map((host) => [host.id, host]));
  const hostBridges = machine.hostBridges.map((host) => ({
    ...host,
    functions: list(host.functions, hosts.get(host.id)?.functions ?? []).functions,
  }));
  return { machine: { ...machine, hostBridges }, added, removed };
}

/** The machine without some of its functions, and what lies behind them. */
export function without(machine: Machine, functions: readonly MachineFunction[]): Machine {
  const walk = (all: readonly MachineFunction[]): MachineFunction[] =>
    all
      .filter((fn) => !functions.includes(fn))
      .map((fn) => (fn.bridge ? { ...fn, bridge: { ...fn.bridge, functions: walk(fn.bridge.functions) } } : fn));
  return { ...machine, hostBridges: machine.hostBridges.map((host) => ({ ...host, functions: walk(host.functions) })) };
}

/** A topology without what a machine that was made from it has not. */
export function onlyOf(topology: Topology, machine: Machine): Topology {
  const walk = (seen: readonly SeenFunction[], functions: readonly MachineFunction[]): SeenFunction[] => {
    const slots = new Map(functions.map((fn) => [formatSlot(fn.slot), fn]));
    return seen.flatMap((one) => {
      const fn = slots.get(formatSlot(slotOf(one)));
      if (!fn) return [];
      const { bridge } = one;
      return [
        bridge ? { ...one, bridge: { ...bridge, functions: walk(bridge.functions, fn.bridge?.functions ?? []) } } : one,
      ];
    });
  };
  const hosts = new Map(machine.hostBridges.map((host) => [host.id, host]));
  return {
    ...topology,
    hosts: topology.hosts.map((host) => ({
      ...host,
      functions: walk(host.functions, hosts.get(host.id)?.functions ?? []),
    })),
  };
}

const slotOf = ({ at }: SeenFunction): Slot => ({ device: at.device, fn: at.fn });

const pinBars = (bars: readonly Bar[], planned: readonly PlannedBar[] | undefined): Bar[] =>
  bars.map((bar) => {
    const before = planned?.find(({ index }) => index === bar.index);
    return before ? { ...bar, pin: before.address } : bar;
  });

/** Whether two functions ask for the same: then one can have the other's place. */
function alike(a: MachineFunction, b: MachineFunction): boolean {
  const shape = ({ vendor, device, class: code, bars, rom, sriov, bridge }: MachineFunction) => {
    const words = (all: readonly Bar[]) => all.map((bar) => `${bar.index} ${bar.type} ${bar.prefetchable} ${bar.size}`);
    return JSON.stringify([
      ...[vendor, device, code, words(bars), String(rom?.size), bridge?.kind],
      ...[sriov?.totalVfs, words(sriov?.bars ?? [])],
    ]);
  };
  return shape(a) === shape(b);
}
