import { FOUR_GIB } from '../../address/kinds.js';
import type { Observation } from '../observation.js';
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
  for (const { hostWindows } of observations) {
    const full = hostWindows.filter(own);
    if (full.length > 0) {
      return full.map(({ space, address, size, busBase, cpuBase }) => ({
        ...windowOf(space, address, size, busBase),
        ...(cpuBase === undefined ? {} : { cpuBase }),
      }));
    }
  }
  // /proc/iomem and /proc/ioports name the ranges of a bus, and not what the bus calls them.
  const shown = observations.flatMap(({ busWindows }) => busWindows.filter(own));
  const distinct = shown.filter(
    (one, i) => shown.findIndex(({ space, address }) => space === one.space && address === one.address) === i,
  );
  return distinct.map(({ space, address, size }) => {
    const same = space === 'io' ? arch === 'x86_64' : arch === 'x86_64' || isIdentity(functions, address, size);
    return windowOf(space, address, size, same ? address : undefined);
  });
}

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
