import type { Plan } from '../../place/plan.js';
import { bdfKey, type Observation, type SeenBusWindow, type SeenFunction } from '../observation.js';
import { Numbering, SeenBridges } from './numbering.js';
import { Shown } from './shown.js';

/** What one file says, and where the plan's functions are in it. */
export interface View {
  readonly listings: readonly Listing[];
  readonly numbering: Numbering;
  readonly shown: Shown;
}

/** An observation, to look up in. */
export interface Listing {
  readonly observation: Observation;
  readonly functions: ReadonlyMap<number, SeenFunction>;
  /** By {@link busKey}. */
  readonly windows: ReadonlyMap<number, readonly SeenBusWindow[]>;
}

export const busKey = (segment: number, bus: number): number => segment * 0x100 + bus;

export function viewsOf(plan: Plan, observations: readonly Observation[]): View[] {
  const all = new SeenBridges(observations);
  const files = new Map<string, Observation[]>();
  for (const seen of observations) {
    const known = files.get(seen.file);
    if (known) known.push(seen);
    else files.set(seen.file, [seen]);
  }
  return [...files].map(([file, own]) => ({
    listings: own.map(listingOf),
    numbering: new Numbering(plan, [new SeenBridges(own), all]),
    shown: new Shown(file, own),
  }));
}

function listingOf(observation: Observation): Listing {
  const windows = new Map<number, SeenBusWindow[]>();
  for (const window of observation.busWindows) {
    const key = busKey(window.segment, window.bus);
    const known = windows.get(key);
    if (known) known.push(window);
    else windows.set(key, [window]);
  }
  return { observation, functions: new Map(observation.functions.map((fn) => [bdfKey(fn.address), fn])), windows };
}
