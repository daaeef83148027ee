import type { Bdf } from '../../pci/bdf.js';
import { bdfKey } from '../observation.js';
import type { CapturedFunction } from './model.js';

export const busKey = (segment: number, bus: number): number => segment * 0x100 + bus;

const PCI_HOST_BRIDGE = 0x0600;

/**
 * The bridge above each function, where it was not shown: the one whose secondary bus it lies on, or the nearest whose
 * range holds its bus (VFs take bus numbers that no bridge has as its secondary). A bus below no bridge is a root bus if
 * it was named as one, or holds what only a root bus can hold; else nothing is said.
 * @param roots {@link busKey} of the root buses that were named
 */
export function withParents(functions: readonly CapturedFunction[], roots: ReadonlySet<number>): CapturedFunction[] {
  const segments = new Map<number, Map<number, Bdf[]>>();
  const bridges = new Map<number, CapturedFunction>();
  for (const fn of functions) if (fn.buses) bridges.set(bdfKey(fn.address), fn);
  for (const { address, buses } of bridges.values()) {
    if (!buses) continue;
    const byBus = segments.get(address.segment) ?? new Map<number, Bdf[]>();
    segments.set(address.segment, byBus);
    for (let bus = buses.secondary; bus <= (buses.subordinate ?? buses.secondary); bus++) {
      const known = byBus.get(bus);
      if (known) known.push(address);
      else byBus.set(bus, [address]);
    }
  }
  const rootBuses = new Set([...roots, ...impliedRoots(functions)]);
  const width = (address: Bdf) => {
    const { secondary = 0, subordinate = 255 } = bridges.get(bdfKey(address))?.buses ?? {};
    return subordinate - secondary;
  };
  return functions.map((fn) => {
    if (fn.parent !== undefined) return fn;
    const { segment, bus } = fn.address;
    // A bridge does not lie behind itself, whatever its registers hold.
    const above = (segments.get(segment)?.get(bus) ?? []).filter(
      (bridge) => bridge.bus < bus || bridges.get(bdfKey(bridge))?.buses?.secondary === bus,
    );
    const nearest = above
      .filter((bridge) => bdfKey(bridge) !== bdfKey(fn.address))
      .sort((a, b) => width(a) - width(b))[0];
    if (nearest) return { ...fn, parent: nearest };
    return rootBuses.has(busKey(segment, bus)) ? { ...fn, parent: null } : fn;
  });
}

/** Buses with a host bridge's function, a root port or an integrated endpoint on them. */
function impliedRoots(functions: readonly CapturedFunction[]): number[] {
  const ofRoot = new Set(['root-port', 'integrated-endpoint', 'event-collector']);
  return functions
    .filter((fn) => (fn.class ?? 0) >> 8 === PCI_HOST_BRIDGE || ofRoot.has(fn.portType ?? ''))
    .map(({ address }) => busKey(address.segment, address.bus));
}
