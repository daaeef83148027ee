import { AddressRange } from '../address/range.js';
import type { Machine, MachineFunction } from '../machine/model.js';
import type { Buses } from './bus-numbers.js';
import type { Demand } from './demand.js';
import { inSlotOrder } from './demand.js';
import type { Item, WindowKind } from './item.js';
import type { Plan, PlannedBar, PlannedBridge, PlannedFunction, PlannedVfBar } from './plan.js';

/** What was placed of one host bridge, given out in the order in which it was asked for. */
class Places {
  #next = 0;

  constructor(
    private readonly slots: readonly Item[],
    readonly windows: Demand['windows'],
  ) {}

  next(): bigint {
    const item = this.slots[this.#next++] ?? unplaced();
    const run = item.places[0] ?? unplaced();
    const { at } = run;
    if (--run.count === 0) item.places.shift();
    else run.at += item.size;
    return at;
  }
}

const unplaced = (): never => {
  throw new Error('something was not placed');
};

interface Both {
  readonly io: Places;
  readonly memory: Places;
}

interface PlannedBus {
  readonly segment: number;
  readonly bus: number;
  readonly functions: PlannedFunction[];
  readonly bridges: PlannedBridge[];
}

/** The plan that says where the solved demands lie, which together are of all host bridges. */
export function assemble(
  machine: Machine,
  numbers: Buses,
  { io, memory }: { readonly io: readonly Demand[]; readonly memory: readonly Demand[] },
): Plan {
  const buses: PlannedBus[] = [];
  machine.hostBridges.forEach(({ segment, functions: onRoot, buses: range }, i) => {
    const places: Both = { io: placesOf(io, i), memory: placesOf(memory, i) };
    const walk = (list: readonly MachineFunction[], bus: number) => {
      const own: PlannedBus = { segment, bus, functions: new Array<PlannedFunction>(list.length), bridges: [] };
      buses.push(own);
      let at = 0;
      for (const fn of inSlotOrder(list)) {
        const address = { segment, bus, device: fn.slot.device, fn: fn.slot.fn };
        own.functions[at++] = plannedFunction(fn, address, places);
        const behind = fn.bridge && numbers.bridges.get(fn);
        if (!fn.bridge || !behind) continue;
        const memory = places.memory.windows.get(fn) ?? none;
        own.bridges.push({
          id: fn.id,
          address,
          primary: bus,
          ...behind,
          io: windowOf(places.io.windows.get(fn) ?? none, 'io'),
          memory: windowOf(memory, 'memory'),
          prefetchable: windowOf(memory, 'prefetchable'),
        });
        walk(fn.bridge.functions, behind.secondary);
      }
    };
    walk(onRoot, numbers.hosts[i]?.[0] ?? range[0]);
  });
  // On each bus the functions are in slot order already.
  buses.sort((a, b) => a.segment - b.segment || a.bus - b.bus);
  return {
    status: 'placed',
    ram: machine.ram,
    hostBridges: machine.hostBridges.map((host, i) => ({
      id: host.id,
      segment: host.segment,
      buses: numbers.hosts[i] ?? host.buses,
      windows: host.windows,
    })),
    bridges: buses.flatMap(({ bridges }) => bridges),
    functions: functionsOf(buses),
  };
}

/** In one array of the right length: growing one would take longer than all the rest. */
function functionsOf(buses: readonly PlannedBus[]): PlannedFunction[] {
  const all = new Array<PlannedFunction>(buses.reduce((sum, { functions }) => sum + functions.length, 0));
  let at = 0;
  for (const { functions } of buses) for (const fn of functions) all[at++] = fn;
  return all;
}

function placesOf(demands: readonly Demand[], host: number): Places {
  const own = demands.find(({ slots }) => slots[host]);
  return new Places(own?.slots[host] ?? none, own?.windows ?? new Map());
}

const none: readonly Item[] = [];

function windowOf(windows: readonly Item[], kind: WindowKind): AddressRange | null {
  const found = windows.find((item) => item.subject === kind);
  return found ? AddressRange.sized((found.places[0] ?? unplaced()).at, found.size) : null;
}

/** Takes the places of a function in the order in which `demandOf` asks for them. */
function plannedFunction(fn: MachineFunction, address: PlannedFunction['address'], places: Both): PlannedFunction {
  const { id, rom, sriov } = fn;
  // A loop, for there are many of them: `map` would make a closure for each function.
  const bars = new Array<PlannedBar>(fn.bars.length);
  let i = 0;
  for (const { index, type, prefetchable, size, pin } of fn.bars) {
    const at = type === 'io' ? places.io.next() : places.memory.next();
    bars[i++] = { index, type, prefetchable, size, address: at, pinned: pin !== undefined };
  }
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
