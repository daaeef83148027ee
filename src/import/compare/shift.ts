import { hex } from '../../address/format.js';
import type { PlannedHostBridge } from '../../place/plan.js';
import type { Fact } from './comparison.js';
import type { PlannedPlace } from './planned.js';

/**
 * Where every memory address below a host bridge is off by one and the same amount, and out of all its windows, the
 * guest's CPU addresses differ from bus addresses in a way that the plan does not tell. That is no move of every BAR.
 */
export function withoutUniformShift(places: readonly PlannedPlace[], facts: readonly Fact[][][]): readonly Fact[][][] {
  const shifted = new Map<PlannedHostBridge, bigint>();
  for (const host of new Set(places.flatMap((place) => place.hostBridge ?? []))) {
    const amount = uniformShift(host, places, facts);
    if (amount !== undefined) shifted.set(host, amount);
  }
  if (shifted.size === 0) return facts;
  return facts.map((ofPlace, i) =>
    ofPlace.map((ofResource, j) => {
      const host = places[i]?.hostBridge;
      const amount = host && shifted.get(host);
      if (amount === undefined || places[i]?.resources[j]?.space !== 'memory') return ofResource;
      return ofResource.map((fact): Fact => {
        if (fact.status !== 'moved') return fact;
        const { listing, shown, size, source } = fact;
        const detail =
          `all memory below ${host?.id ?? 'its host bridge'} is shown ${hex(amount)} from its planned bus address: ` +
          `CPU and bus addresses seem to differ, and the kernel's "root bus resource" lines would tell`;
        return {
          listing,
          status: 'not-comparable',
          detail,
          source,
          ...(shown === undefined ? {} : { shown }),
          ...(size === undefined ? {} : { size }),
        };
      });
    }),
  );
}

function uniformShift(
  host: PlannedHostBridge,
  places: readonly PlannedPlace[],
  facts: readonly Fact[][][],
): bigint | undefined {
  const windows = host.windows.filter((window) => window.type !== 'io');
  let amount: bigint | undefined;
  const bases = new Set<bigint>();
  for (const [i, place] of places.entries()) {
    if (place.hostBridge !== host) continue;
    for (const [j, { space, range }] of place.resources.entries()) {
      if (space !== 'memory') continue;
      for (const { status, seen } of facts[i]?.[j] ?? []) {
        if (seen === undefined) continue;
        if (status !== 'moved' || !range) return undefined;
        if (windows.some(({ base, size }) => base <= seen && seen < base + size)) return undefined;
        if (amount !== undefined && amount !== seen - range.base) return undefined;
        amount = seen - range.base;
        bases.add(range.base);
      }
    }
  }
  return bases.size > 1 ? amount : undefined;
}
