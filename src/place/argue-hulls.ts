import { hex } from '../address/format.js';
import type { MachineFunction } from '../machine/model.js';
import { whereArgument } from './argue-where.js';
import { forced, windowNeed } from './around.js';
import type { Span, WindowKind } from './item.js';
import type { Evidence, Pinned } from './evidence.js';
import { atPin, isPinned, meets } from './evidence.js';
import { kindName, listed, namesOf } from './names.js';

/** A bridge window that has to go around pins, so far that it meets something else, or leaves what it may lie in. */
export function hullArgument(evidence: Evidence): string | null {
  const pins = evidence.needs.filter(isPinned);
  const bridges = new Set(pins.flatMap(({ above }) => above));
  for (const bridge of bridges) {
    for (const [kind, inside] of forced(evidence, bridge, pins)) {
      if (evidence.windowOf(bridge, kind)) continue;
      const hull = evidence.hullOf(inside);
      const start = lead(evidence, bridge, kind, inside, hull);
      const found =
        intruders(evidence, bridge, inside, hull, start) ??
        whereArgument(evidence, windowNeed(bridge, kind, inside, hull), start)?.text;
      if (found) return found;
    }
  }
  return null;
}

function lead(evidence: Evidence, bridge: MachineFunction, kind: WindowKind, inside: readonly Pinned[], hull: Span) {
  const exact = inside.some(({ pin }) => pin.base === hull.base) && inside.some(({ pin }) => pin.limit === hull.limit);
  const steps = exact ? '' : `, in steps of ${hex(evidence.step)},`;
  const window = `${bridge.id}'s ${kindName(kind)} window`;
  const around = inside.length === 1 ? inside.map(atPin).join() : namesOf(inside);
  return `${window} must run from ${hex(hull.base)} to ${hex(hull.limit)}${steps} because of ${around}`;
}

/** What is not behind the bridge, or goes into its other window, and is pinned inside the hull. */
function intruders(
  evidence: Evidence,
  bridge: MachineFunction,
  inside: readonly Pinned[],
  hull: Span,
  start: string,
): string | null {
  const host = inside[0]?.claim.host;
  const above = inside[0]?.above ?? [];
  const outer = above.slice(above.indexOf(bridge) + 1);
  const hit = evidence.needs.filter(isPinned).filter((need) => {
    if (inside.includes(need) || need.claim.host !== host || !meets(need.pin, hull)) return false;
    // Windows around this one hold it; one of its own bridge is beside it.
    if (need.window && outer.includes(need.claim.fn)) return false;
    return !need.above.includes(bridge) || evidence.waysInto(need, bridge).length === 1;
  });
  const [first] = hit;
  if (!first) return null;
  const where = new Set(
    hit.map((need) =>
      need.above.includes(bridge)
        ? `in its other window`
        : need.above[0]
          ? `behind ${need.above[0].id}`
          : 'on the root bus',
    ),
  );
  const lies = hit.length === 1 ? 'lies' : 'lie';
  return `${start}, and ${listed(hit.map(atPin))} ${lies} inside, but ${listed([...where])}.`;
}
