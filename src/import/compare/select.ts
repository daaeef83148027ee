import { bdfKey, type Observation } from '../observation.js';
import type { Comparison } from './comparison.js';

/** What a comparison goes by, and which boots that is. */
export interface Selection {
  readonly observations: readonly Observation[];
  readonly boots: Comparison['boots'];
}

const tellsSomething = (seen: Observation) =>
  seen.functions.length > 0 || seen.busWindows.length > 0 || seen.hostWindows.length > 0;

/**
 * Of each file the last boot that shows anything (or `boot`, where it is given), and of a function that one kind of
 * listing shows several times the last.
 */
export function selectLast(observations: readonly Observation[], boot?: number): Selection {
  const chosen = new Map<string, { boot: number; of: number }>();
  for (const seen of observations) {
    const known = chosen.get(seen.file) ?? { boot: 0, of: 0 };
    const wanted = boot === undefined ? tellsSomething(seen) : seen.boot === boot;
    chosen.set(seen.file, {
      boot: wanted ? Math.max(known.boot, seen.boot) : known.boot,
      of: Math.max(known.of, seen.boot),
    });
  }
  const kept = observations.filter((seen) => seen.boot === chosen.get(seen.file)?.boot);
  return {
    observations: lastListings(kept),
    boots: [...chosen].flatMap(([file, { boot: of1, of }]) => (of > 0 ? [{ file, boot: of1, of }] : [])),
  };
}

function lastListings(observations: readonly Observation[]): Observation[] {
  const seen = new Set<string>();
  const kept: Observation[] = [];
  for (const observation of observations.toReversed()) {
    const functions = observation.functions.filter((fn) => {
      const key = `${observation.kind} ${bdfKey(fn.address)} ${observation.file}`;
      if (seen.has(key)) return false;
      // A plain `lspci` after `lspci -vvv` takes nothing back.
      if (fn.resources.length > 0) seen.add(key);
      return true;
    });
    kept.push({ ...observation, functions });
  }
  return kept.reverse();
}
