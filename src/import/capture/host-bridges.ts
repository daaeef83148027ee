import { FOUR_GIB } from '../../address/kinds.js';
import type { Observation, SeenBusWindow } from '../observation.js';
import type { CapturedFunction, CapturedHostBridge, CapturedHostWindow } from './model.js';
import { busKey } from './parents.js';

/** Root buses that observations name, as {@link busKey}. */
export function namedRoots(observations: readonly Observation[]): Set<number> {
  const roots = new Set<number>();
  for (const { rootBuses = [], hostWindows } of observations) {
    for (const { segment, bus } of [...rootBuses, ...hostWindows]) roots.add(busKey(segment, bus));
  }
  return roots;
}

/** Every host bridge with its windows, as far as they were shown. */
export function hostBridgesOf(
  observations: readonly Observation[],
  functions: readonly CapturedFunction[],
  arch: string | undefined,
): CapturedHostBridge[] {
  const keys = namedRoots(observations);
  for (const { address, parent } of functions) if (parent === null) keys.add(busKey(address.segment, address.bus));
  return [...keys]
    .sort((a, b) => a - b)
    .map((key) => {
      const [segment, bus] = [Math.floor(key / 0x100), key & 0xff];
      const named = observations
        .flatMap(({ rootBuses = [] }) => rootBuses)
        .filter((root) => root.segment === segment && root.bus === bus);
      const lastBus = named.find((root) => root.lastBus !== undefined)?.lastBus;
      const numaNode = named.find((root) => root.numaNode !== undefined)?.numaNode;
      const windows = windowsOf(observations, functions, segment, bus, arch);
      return {
        segment,
        bus,
        ...(lastBus === undefined ? {} : { lastBus }),
        ...(numaNode === undefined ? {} : { numaNode }),
        ...(windows.length > 0 ? { windows } : {}),
      };
    });
}

function windowsOf(
  observations: readonly Observation[],
  functions: readonly CapturedFunction[],
  segment: number,
  bus: number,
  arch: string | undefined,
): CapturedHostWindow[] {
  const own = (one: { readonly segment: number; readonly bus: number }) => one.segment === segment && one.bus === bus;
  const full = observations.map(({ hostWindows }) => hostWindows.filter(own)).find(({ length }) => length > 0) ?? [];
  // /proc/iomem and /proc/ioports name the ranges of a bus, and not what the bus calls them.
  const shown: SeenBusWindow[] = [];
  for (const one of observations.flatMap(({ busWindows }) => busWindows.filter(own))) {
    if (![...full, ...shown].some((other) => overlap(one, other))) shown.push(one);
  }
  return [
    ...full.map(({ space, address, size, busBase, cpuBase }) => ({
      ...windowOf(space, address, size, busBase),
      ...(cpuBase === undefined ? {} : { cpuBase }),
    })),
    ...shown.map(({ space, address, size }) => {
      const same = arch === 'x86_64' || (space === 'memory' && isIdentity(functions, address, size));
      return windowOf(space, address, size, same ? address : undefined);
    }),
  ];
}

const overlap = (a: SeenBusWindow, b: SeenBusWindow): boolean =>
  a.space === b.space && a.address < b.address + b.size && b.address < a.address + a.size;

/** Whether some BAR in this range has the same number in its register as the system has. */
const isIdentity = (functions: readonly CapturedFunction[], base: bigint, size: bigint): boolean =>
  functions.some(({ bars }) =>
    bars.some(
      ({ address, busAddress, type }) =>
        type !== 'io' &&
        address !== undefined &&
        (address as bigint) === busAddress &&
        base <= address &&
        address < base + size,
    ),
  );

function windowOf(space: 'io' | 'memory', address: bigint, size: bigint, base: bigint | undefined): CapturedHostWindow {
  const type = space === 'io' ? 'io' : (base ?? address) + size <= FOUR_GIB ? 'mem32' : 'mem64';
  return { type, address, size, ...(base === undefined ? {} : { base }) };
}
