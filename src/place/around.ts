import { maxOf, minOf } from '../address/align.js';
import type { MachineFunction } from '../machine/model.js';
import type { Evidence, Pinned, Place } from './evidence.js';
import { holds, isPinned, kindsAbove, meets, rootTypes, spanOfWindow } from './evidence.js';
import type { Span, WindowKind } from './item.js';
import { kindName, namesOf, nameOf, spanOf, windowName } from './names.js';
import type { Need } from './needs.js';
import { ceilingOf } from './needs.js';

/* Bridge windows that have to go around pins. */

/** Pins below a bridge by the window that each has to lie in; those with a choice are left out. */
export function forced(
  evidence: Evidence,
  bridge: MachineFunction,
  pins: readonly Pinned[],
): Map<WindowKind, Pinned[]> {
  const byKind = new Map<WindowKind, Pinned[]>();
  for (const pin of pins) {
    if (!pin.above.includes(bridge)) continue;
    const [way, another] = evidence.waysInto(pin, bridge);
    if (way && !another) byKind.set(way.kind, [...(byKind.get(way.kind) ?? []), pin]);
  }
  return byKind;
}

/** The window as something that is pinned where the hull is. */
export function windowNeed(bridge: MachineFunction, kind: WindowKind, inside: readonly Pinned[], hull: Span): Pinned {
  const [first] = inside;
  if (!first) throw new Error('a window around nothing');
  const ceiling = ceilingOf(bridge, kind);
  return {
    claim: first.claim,
    name: `the ${kindName(kind)} window of ${bridge.id}`,
    size: hull.limit - hull.base + 1n,
    align: 1n,
    pin: hull,
    ceiling,
    onRoot: rootTypes[kind],
    inBridge: kindsAbove[kind],
    above: first.above.slice(first.above.indexOf(bridge) + 1),
    window: kind,
  };
}

/** What becomes of a need at an address. */
export interface Fate {
  /** Of one address: `meets RAM at …`; of several: `meet RAM at …`. */
  readonly one: string;
  readonly many: string;
}

/**
 * What is wrong with a bridge window that goes around a need at `span` and around the pins that share it; null where it may
 * work, or the need may lie in another window.
 */
export function fateAround(evidence: Evidence, need: Need, place: Place, span: Span): Fate | null {
  const pins = evidence.needs.filter(isPinned);
  for (const bridge of need.above) {
    const [way, another] = evidence.allWaysInto(need, bridge).filter((one) => holds(one, span));
    if (!way || another || evidence.windowOf(bridge, way.kind)) continue;
    const inside = forced(evidence, bridge, pins).get(way.kind) ?? [];
    if (inside.length === 0) continue;
    const own = evidence.hullOf(inside);
    const hull = evidence.rounded({ base: minOf(own.base, span.base), limit: maxOf(own.limit, span.limit) });
    const around = windowNeed(bridge, way.kind, inside, hull);
    const within = pins.filter(
      (pin) => pin.above.includes(bridge) && evidence.waysInto(pin, bridge).some(({ kind }) => kind === way.kind),
    );
    const obstacles = [...evidence.blockedIn(place.window, true), ...evidence.pinsBeside(around, within)];
    const hit = obstacles.find((one) => meets(one, hull));
    const window = `${nameOf(bridge, way.kind)}, which goes around ${namesOf(inside)} as well,`;
    if (hit)
      return { one: `makes ${window} ${spanOf(hull)}, which ${hit.fate}`, many: `make ${window} meet ${hit.what}` };
    if (holds(spanOfWindow(place.window), hull)) continue;
    const out = `reach out of ${windowName(place.window)}`;
    return {
      one: `makes ${window} ${spanOf(hull)}, and that ${out.replace('reach', 'reaches')}`,
      many: `make ${window} ${out}`,
    };
  }
  return null;
}
