import type { Bdf } from '../../pci/bdf.js';
import type { Plan, PlannedBridge } from '../../place/plan.js';
import { bdfKey, type Observation, type SeenBuses, type SeenFunction } from '../observation.js';
import type { Renumbered } from './comparison.js';

/** Which buses the bridges of a guest route, by the bridges' own addresses, as listings of one file or all say it. */
export class SeenBridges {
  readonly #buses = new Map<number, SeenBuses>();

  constructor(observations: readonly Observation[]) {
    for (const { functions } of observations) functions.forEach((fn) => this.#add(fn));
  }

  get(bridge: Bdf): SeenBuses | undefined {
    return this.#buses.get(bdfKey(bridge));
  }

  #add(fn: SeenFunction) {
    if (fn.buses) this.#buses.set(bdfKey(fn.address), fn.buses);
    const above = fn.parent ? bdfKey(fn.parent) : undefined;
    if (above !== undefined && !this.#buses.has(above)) {
      this.#buses.set(above, { secondary: fn.address.bus, source: fn.source });
    }
  }
}

/**
 * The plan's bus numbers as the guest has them. Root buses are the host bridge's and stay; from there the path of device
 * and function numbers leads through each bridge to its secondary bus. Where no listing shows a bridge's bus numbers,
 * the plan's are taken.
 */
export class Numbering {
  readonly renumbered: readonly Renumbered[];
  /** Planned bus to guest bus; null: the bridge above has no bus number in the guest. */
  readonly #guestBus = new Map<number, number | null>();

  constructor(plan: Plan, sources: readonly SeenBridges[]) {
    const renumbered: Renumbered[] = [];
    // A bridge's primary bus number is below its secondary one, so the bridge above always comes first.
    const downwards = plan.bridges.toSorted((a, b) => a.address.segment - b.address.segment || a.primary - b.primary);
    for (const bridge of downwards) {
      const address = this.guest(bridge.address);
      const seen = address && firstOf(sources, address);
      this.#guestBus.set(key(bridge.address.segment, bridge.secondary), busBehind(bridge, address, seen));
      if (address && seen && seen.secondary > 0 && differs(bridge, seen)) {
        const { secondary, subordinate } = bridge;
        renumbered.push({
          id: bridge.id,
          address,
          planned: { secondary, subordinate },
          seen: {
            secondary: seen.secondary,
            ...(seen.subordinate === undefined ? {} : { subordinate: seen.subordinate }),
          },
          source: seen.source,
        });
      }
    }
    this.renumbered = renumbered;
  }

  /** Where the guest should have the function of this planned address; null: it has no bus number for it. */
  guest(planned: Bdf): Bdf | null {
    const bus = this.guestBus(planned.segment, planned.bus);
    return bus === null ? null : bus === planned.bus ? planned : { ...planned, bus };
  }

  guestBus(segment: number, planned: number): number | null {
    const bus = this.#guestBus.get(key(segment, planned));
    return bus === undefined ? planned : bus;
  }
}

const key = (segment: number, bus: number) => segment * 0x100 + bus;

function firstOf(sources: readonly SeenBridges[], address: Bdf): SeenBuses | undefined {
  for (const source of sources) {
    const seen = source.get(address);
    if (seen) return seen;
  }
  return undefined;
}

function busBehind(bridge: PlannedBridge, address: Bdf | null, seen: SeenBuses | undefined | null): number | null {
  if (!address) return null;
  if (!seen) return bridge.secondary;
  return seen.secondary === 0 ? null : seen.secondary;
}

const differs = (bridge: PlannedBridge, seen: SeenBuses): boolean =>
  seen.secondary !== bridge.secondary || (seen.subordinate !== undefined && seen.subordinate !== bridge.subordinate);
