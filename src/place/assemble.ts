import { AddressRange } from '../address/range.js';
import type { Machine, MachineFunction } from '../machine/model.js';
import type { Buses } from './bus-numbers.js';
import type { Item } from './demand.js';
import { inSlotOrder } from './demand.js';
import type { ConstraintSubject, Plan, PlannedBar, PlannedBridge, PlannedFunction, PlannedVfBar } from './plan.js';

/** The items of every function, by host bridge and by `order`. */
type Places = Item[][][];

/** The plan that says where the solved items lie. */
export function assemble(machine: Machine, buses: Buses, items: readonly Item[]): Plan {
  const places: Places = machine.hostBridges.map(() => []);
  for (const item of items) note(item, places);
  // Bus by bus: on each the functions are in slot order already.
  const all: { segment: number; bus: number; functions: PlannedFunction[]; bridges: PlannedBridge[] }[] = [];
  machine.hostBridges.forEach(({ segment, functions: onRoot, buses: range }, i) => {
    let order = 0;
    const walk = (list: readonly MachineFunction[], bus: number) => {
      const functions: PlannedFunction[] = [];
      const bridges: PlannedBridge[] = [];
      all.push({ segment, bus, functions, bridges });
      for (const fn of inSlotOrder(list)) {
        const address = { segment, bus, device: fn.slot.device, fn: fn.slot.fn };
        const own = places[i]?.[order++] ?? none;
        functions.push(plannedFunction(fn, address, own));
        const behind = buses.bridges.get(fn);
        if (!fn.bridge || !behind) continue;
        bridges.push({
          id: fn.id,
          address,
          primary: bus,
          ...behind,
          io: windowOf(own, 'io'),
          memory: windowOf(own, 'memory'),
          prefetchable: windowOf(own, 'prefetchable'),
        });
        walk(fn.bridge.functions, behind.secondary);
      }
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

function note(item: Item, places: Places): void {
  const host = places[item.host];
  const own = host?.[item.order];
  if (own) own.push(item);
  else if (host) host[item.order] = [item];
  if (item.window) for (const child of item.window.items) note(child, places);
}

type Own = readonly Item[];
const none: Own = [];

function addressOf(own: Own, subject: ConstraintSubject, fn: MachineFunction): bigint {
  for (const item of own) if (item.subject === subject) return item.at;
  throw new Error(`${fn.id} ${subject} was not placed`);
}

function windowOf(own: Own, kind: 'io' | 'memory' | 'prefetchable'): AddressRange | null {
  const found = own.find((item) => item.subject === kind);
  return found ? AddressRange.sized(found.at, found.size) : null;
}

function plannedFunction(fn: MachineFunction, address: PlannedFunction['address'], own: Own): PlannedFunction {
  const { id, rom, sriov } = fn;
  const bars: PlannedBar[] = [];
  for (const { index, type, prefetchable, size, pin } of fn.bars) {
    bars.push({ index, type, prefetchable, size, address: addressOf(own, index, fn), pinned: pin !== undefined });
  }
  if (!rom && !sriov) return { id, address, bars };
  const { totalVfs: count = 0 } = sriov ?? {};
  const groups = count > 0 ? (sriov?.bars ?? []) : [];
  const vfBars = groups.map(({ index, type, prefetchable, size, pin }): PlannedVfBar => {
    const at = addressOf(own, `vf${index}`, fn);
    return { index, type, prefetchable, size, count, address: at, pinned: pin !== undefined };
  });
  return {
    id,
    address,
    bars,
    ...(rom ? { rom: { size: rom.size, address: addressOf(own, 'rom', fn), pinned: rom.pin !== undefined } } : {}),
    ...(sriov ? { sriov: { bars: vfBars } } : {}),
  };
}
