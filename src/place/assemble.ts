import { AddressRange } from '../address/range.js';
import type { Machine, MachineFunction } from '../machine/model.js';
import type { Buses } from './bus-numbers.js';
import type { Demand } from './demand.js';
import { inSlotOrder } from './demand.js';
import type { Item, WindowKind } from './item.js';
import type { Plan, PlannedBar, PlannedBridge, PlannedFunction, PlannedVfBar } from './plan.js';

/** What was placed of one host bridge, read in the order in which it was asked for. */
class Places {
  #next = 0;
  /** Of each item that stands for several, how many have been read. */
  readonly #read = new Map<Item, number>();

  constructor(
    private readonly slots: readonly Item[],
    readonly windows: Demand['windows'],
  ) {}

  next(): bigint {
    const item = this.slots[this.#next++];
    if (item?.count === 1) return item.places[0] ?? unplaced();
    const read = item ? (this.#read.get(item) ?? 0) : 0;
    if (item) this.#read.set(item, read + 1);
    return item?.places[read] ?? unplaced();
  }
}

const unplaced = () => {
  throw new Error('something was not placed');
};

interface Both {
  readonly io: Places;
  readonly memory: Places;
}

/** The plan that says where the solved demands lie, which together are of all host bridges. */
export function assemble(
  machine: Machine,
  buses: Buses,
  { io, memory }: { readonly io: readonly Demand[]; readonly memory: readonly Demand[] },
): Plan {
  // Bus by bus: on each the functions are in slot order already.
  const all: { segment: number; bus: number; functions: PlannedFunction[]; bridges: PlannedBridge[] }[] = [];
  machine.hostBridges.forEach(({ segment, functions: onRoot, buses: range }, i) => {
    const places: Both = { io: placesOf(io, i), memory: placesOf(memory, i) };
    const walk = (list: readonly MachineFunction[], bus: number) => {
      const functions: PlannedFunction[] = new Array<PlannedFunction>(list.length);
      const bridges: PlannedBridge[] = [];
      all.push({ segment, bus, functions, bridges });
      inSlotOrder(list).forEach((fn, at) => {
        const address = { segment, bus, device: fn.slot.device, fn: fn.slot.fn };
        functions[at] = plannedFunction(fn, address, places);
        const behind = buses.bridges.get(fn);
        if (!fn.bridge || !behind) return;
        const memory = places.memory.windows.get(fn) ?? none;
        bridges.push({
          id: fn.id,
          address,
          primary: bus,
          ...behind,
          io: windowOf(places.io.windows.get(fn) ?? none, 'io'),
          memory: windowOf(memory, 'memory'),
          prefetchable: windowOf(memory, 'prefetchable'),
        });
        walk(fn.bridge.functions, behind.secondary);
      });
    };
    walk(onRoot, buses.hosts[i]?.[0] ?? range[0]);
  });
  all.sort((a, b) => a.segment - b.segment || a.bus - b.bus);
  return {
    status: 'placed',
    ram: machine.ram,
    hostBridges: machine.hostBridges.map((host, i) => ({
      id: host.id,
      segment: host.segment,
      buses: buses.hosts[i] ?? host.buses,
      windows: host.windows,
    })),
    bridges: all.flatMap(({ bridges }) => bridges),
    functions: all.flatMap(({ functions }) => functions),
  };
}

function placesOf(demands: readonly Demand[], host: number): Places {
  const own = demands.find(({ slots }) => slots[host]);
  return new Places(own?.slots[host] ?? none, own?.windows ?? new Map());
}

const none: readonly Item[] = [];

function windowOf(windows: readonly Item[], kind: WindowKind): AddressRange | null {
  const found = windows.find((item) => item.subject === kind);
  return found ? AddressRange.sized(found.places[0] ?? unplaced(), found.size) : null;
}

/** Takes the places of a function in the order in which `demandOf` asks for them. */
function plannedFunction(fn: MachineFunction, address: PlannedFunction['address'], places: Both): PlannedFunction {
  const { id, rom, sriov } = fn;
  const bars = fn.bars.map(({ index, type, prefetchable, size, pin }): PlannedBar => {
    const at = type === 'io' ? places.io.next() : places.memory.next();
    return { index, type, prefetchable, size, address: at, pinned: pin !== undefined };
  });
  if (!rom && !sriov) return { id, address, bars };
  const plannedRom = rom && { size: rom.size, address: places.memory.next(), pinned: rom.pin !== undefined };
  const { totalVfs: count = 0 } = sriov ?? {};
  const groups = count > 0 ? (sriov?.bars ?? []) : [];
  const vfBars = groups.map(({ index, type, prefetchable, size, pin }): PlannedVfBar => {
    const at = places.memory.next();
    return { index, type, prefetchable, size, count, address: at, pinned: pin !== undefined };
  });
  return {
    id,
    address,
    bars,
    ...(plannedRom ? { rom: plannedRom } : {}),
    ...(sriov ? { sriov: { bars: vfBars } } : {}),
  };
}
