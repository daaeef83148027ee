import { AddressRange } from '../../address/range.js';
import type { Bdf } from '../../pci/bdf.js';
import type { Plan, PlannedBridge, PlannedFunction, PlannedHostBridge } from '../../place/plan.js';
import { bdfKey, type ResourceName, type Space } from '../observation.js';

/** One thing that a plan places, as a listing may show it. */
export interface PlannedResource {
  readonly name: ResourceName;
  readonly space: Space;
  /** Null: a closed bridge window. */
  readonly range: AddressRange | null;
  /** Bytes of one BAR: a VF BAR group is shown whole or as one VF's. */
  readonly unit?: bigint;
  readonly wide?: boolean;
  readonly prefetchable?: boolean;
  readonly pinned: boolean;
}

export interface PlannedPlace {
  readonly fn: PlannedFunction;
  readonly bridge: PlannedBridge | undefined;
  readonly hostBridge: PlannedHostBridge | undefined;
  readonly resources: readonly PlannedResource[];
}

/** Every function of a plan with all that was placed for it. */
export function plannedPlaces(plan: Plan): PlannedPlace[] {
  const bridges = new Map(plan.bridges.map((bridge) => [bdfKey(bridge.address), bridge]));
  return plan.functions.map((fn) => {
    const bridge = bridges.get(bdfKey(fn.address));
    return { fn, bridge, hostBridge: hostBridgeOf(plan, fn.address), resources: resourcesOf(fn, bridge) };
  });
}

function hostBridgeOf(plan: Plan, { segment, bus }: Bdf): PlannedHostBridge | undefined {
  return plan.hostBridges.find((host) => host.segment === segment && host.buses[0] <= bus && bus <= host.buses[1]);
}

function resourcesOf(fn: PlannedFunction, bridge: PlannedBridge | undefined): PlannedResource[] {
  const bars = fn.bars.map((bar): PlannedResource => ({
    name: bar.index,
    space: bar.type === 'io' ? 'io' : 'memory',
    range: AddressRange.sized(bar.address, bar.size),
    ...(bar.type === 'io' ? {} : { wide: bar.type === 'mem64', prefetchable: bar.prefetchable }),
    pinned: bar.pinned,
  }));
  const rom: PlannedResource[] = fn.rom
    ? [{ name: 'rom', space: 'memory', range: AddressRange.sized(fn.rom.address, fn.rom.size), pinned: fn.rom.pinned }]
    : [];
  const vfs = (fn.sriov?.bars ?? []).map((bar): PlannedResource => ({
    name: `vf${bar.index}`,
    space: 'memory',
    range: AddressRange.sized(bar.address, bar.size * BigInt(bar.count)),
    unit: bar.size,
    wide: bar.type === 'mem64',
    prefetchable: bar.prefetchable,
    pinned: bar.pinned,
  }));
  const window = (name: 'io' | 'memory' | 'prefetchable', range: AddressRange | null): PlannedResource => ({
    name,
    space: name === 'io' ? 'io' : 'memory',
    range,
    pinned: false,
  });
  const windows = bridge
    ? [window('io', bridge.io), window('memory', bridge.memory), window('prefetchable', bridge.prefetchable)]
    : [];
  return [...bars, ...rom, ...vfs, ...windows];
}
