import { alignDown, alignUp, ascending, maxOf, minOf } from '../address/align.js';
import { hex } from '../address/format.js';
import type { Argument } from './argument.js';
import { whereArgument } from './argue-where.js';
import type { Evidence, Pinned } from './evidence.js';
import { holds, isPinned } from './evidence.js';
import { amount, capital, spanOf } from './names.js';

/** A pin that is impossible by itself, or two that meet: the first of that kind. */
export function pinArgument(evidence: Evidence): Argument | null {
  const pins = evidence.needs.filter(isPinned);
  for (const pin of pins) {
    const found = misaligned(pin) ?? whereArgument(evidence, pin, pinnedTo(pin));
    if (found) return found;
  }
  return overlapping(pins);
}

const pinnedTo = ({ name, pin }: Pinned): string => `${capital(name)} is pinned to ${spanOf(pin)}`;

/** PCI Local Bus 3.0 §6.2.5.1: a BAR decodes a power of two, at a multiple of it. */
function misaligned(need: Pinned): Argument | null {
  const { claim, name, pin, size, align, window } = need;
  const { base, limit } = pin;
  const claims = [claim];
  if ((base & (align - 1n)) !== 0n) {
    const rule = size === align ? `${hex(align)}, its size` : hex(align);
    const below = alignDown(base, align);
    const between = `${hex(base)} lies between ${hex(below)} and ${hex(below + align)}`;
    const must = `its address has to be a multiple of ${rule}`;
    return { claims, text: `${capital(name)} is pinned to ${hex(base)}, but ${must}, and ${between}.` };
  }
  if (!window || (size & (align - 1n)) === 0n) return null;
  const end = alignUp(limit + 1n, align) - 1n;
  const steps = `such a window ends in steps of ${hex(align)}: at ${hex(end)}, not at ${hex(limit)}`;
  return { claims, text: `${pinnedTo(need)}, but ${steps}.` };
}

/** The first two pins that share addresses, where one is not a window around the other. */
function overlapping(pins: readonly Pinned[]): Argument | null {
  const around = (window: Pinned, inner: Pinned) => window.window && inner.above.includes(window.claim.fn);
  const sorted = pins.toSorted(
    (a, b) => a.claim.host - b.claim.host || ascending(a.pin.base, b.pin.base) || ascending(b.pin.limit, a.pin.limit),
  );
  let open: Pinned[] = [];
  for (const need of sorted) {
    open = open.filter(({ claim, pin }) => claim.host === need.claim.host && pin.limit >= need.pin.base);
    const other = open.find((one) => !around(one, need) && !around(need, one));
    if (other) return { claims: [other.claim, need.claim], text: bothTake(other, need) };
    open.push(need);
  }
  return null;
}

function bothTake(a: Pinned, b: Pinned): string {
  const common = { base: maxOf(a.pin.base, b.pin.base), limit: minOf(a.pin.limit, b.pin.limit) };
  if (holds(common, a.pin) && holds(common, b.pin))
    return `${capital(a.name)} and ${b.name} are both pinned to ${spanOf(common)}.`;
  return `${pinnedWith(a)}, and ${b.name} to ${spanOf(b.pin)} (${amount(b.size)}): both take ${spanOf(common)}.`;
}

const pinnedWith = (need: Pinned): string => `${pinnedTo(need)} (${amount(need.size)})`;
