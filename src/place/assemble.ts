import { AddressRange } from '../address/range.js';
import { compareBdf } from '../pci/bdf.js';
import type { Machine, MachineFunction } from '../machine/model.js';
import type { Buses } from './bus-numbers.js';
import type { Item } from './demand.js';
import { inSlotOrder } from './demand.js';
import type { ConstraintSubject, Plan, PlannedBar, PlannedBridge, PlannedFunction, PlannedVfBar } from './plan.js';

type Places = Map<MachineFunction, [ConstraintSubject, Item][]>;

/** The plan that says where the solved items lie. */
export function assemble(machine: Machine, buses: Buses, items: readonly Item[]): Plan {
  const places: Places = new Map();
  for (const item of items) note(item, places);
  const functions: PlannedFunction[] = [];
  const bridges: PlannedBridge[] = [];
  machine.hostBridges.forEach((host, i) => {
    const walk = (list: readonly MachineFunction[], bus: number) => {
      for (const fn of inSlotOrder(list)) {
        const address = { segment: host.segment, bus, ...fn.slot };
        const own = places.get(fn) ?? [];
        functions.push(plannedFunction(fn, address, own));
        const range = buses.bridges.get(fn);
        if (!fn.bridge || !range) continue;
        const windows = {
          io: windowOf(own, 'io'),
          memory: windowOf(own, 'memory'),
          prefetchable: windowOf(own, 'prefetchable'),
        };
        bridges.push({ id: fn.id, address, primary: bus, ...range, ...windows });
        walk(fn.bridge.functions, range.secondary);
      }
    };
    walk(host.functions, buses.hosts[i]?.[0] ?? host.buses[0]);
  });
  return {
    status: 'placed',
    ram: machine.ram,
    hostBridges: machine.hostBridges.map((host, i) => ({
      id: host.id,
      segment: host.segment,
      buses: buses.hosts[i] ?? host.buses,
      windows: host.windows,
    })),
    bridges: bridges.sort((a, b) => compareBdf(a.address, b.address)),
    functions: functions.sort((a, b) => compareBdf(a.address, b.address)),
  };
}

function note(item: Item, places: Places): void {
  const own = places.get(item.fn);
  if (own) own.push([item.subject, item]);
  else places.set(item.fn, [[item.subject, item]]);
  if (item.window) for (const child of item.window.items) note(child, places);
}

type Own = readonly (readonly [ConstraintSubject, Item])[];

function addressOf(own: Own, subject: ConstraintSubject, fn: MachineFunction): bigint {
  const found = own.find(([of]) => of === subject);
  if (!found) throw new Error(`${fn.id} ${subject} was not placed`);
  return found[1].at;
}

function windowOf(own: Own, kind: 'io' | 'memory' | 'prefetchable'): AddressRange | null {
  const found = own.find(([of]) => of === kind);
  return found ? AddressRange.sized(found[1].at, found[1].size) : null;
}

function plannedFunction(fn: MachineFunction, address: PlannedFunction['address'], own: Own): PlannedFunction {
  const bars = fn.bars.map(({ index, type, prefetchable, size, pin }): PlannedBar => {
    return { index, type, prefetchable, size, address: addressOf(own, index, fn), pinned: pin !== undefined };
  });
  const { rom, sriov } = fn;
  const count = sriov?.totalVfs ?? 0;
  const vfBars = (count > 0 ? (sriov?.bars ?? []) : []).map(
    ({ index, type, prefetchable, size, pin }): PlannedVfBar => {
      return {
        index,
        type,
        prefetchable,
        size,
        count,
        address: addressOf(own, `vf${index}`, fn),
        pinned: pin !== undefined,
      };
    },
  );
  return {
    id: fn.id,
    address,
    bars,
    ...(rom ? { rom: { size: rom.size, address: addressOf(own, 'rom', fn), pinned: rom.pin !== undefined } } : {}),
    ...(sriov ? { sriov: { bars: vfBars } } : {}),
  };
}
