import { alignDown, alignUp, ascending } from '../address/align.js';
import { hex } from '../address/format.js';
import type { Machine } from '../machine/model.js';
import { leftOf } from './argue-room.js';
import { lastBuses } from './bus-numbers.js';
import type { Attempt, Candidate } from './candidate.js';
import { firstOf } from './candidate.js';
import { withPin } from './changes.js';
import type { FunctionClaim } from './claims.js';
import { claimsOf } from './claims.js';
import type { Core } from './conflict.js';
import type { Pinned } from './evidence.js';
import { Evidence, isPinned } from './evidence.js';
import { isFunctionClaim, nameOf } from './names.js';
import type { ConstraintSubject, Plan } from './plan.js';

/** Addresses, or bus numbers, to try for one pin. */
const MOST_TRIES = 16;

/** Pins in the conflict, moved as little as possible, or given up. */
export function* pinRemedies(machine: Machine, core: Core): Iterable<Attempt> {
  const pins = core.claims.filter(isFunctionClaim).filter(({ kind }) => kind === 'pin');
  if (core.field !== 'buses') {
    const evidence = new Evidence(machine, core.field, claimsOf(machine, core.field));
    for (const need of evidence.needs) {
      if (isPinned(need) && !need.window && pins.some((pin) => isSame(pin, need.claim))) yield moved(evidence, need);
    }
  }
  for (const pin of pins) {
    const { subject } = pin;
    if (subject === 'secondary' || subject === 'subordinate') yield renumbered(machine, pin, subject);
    if (subject !== undefined) yield firstOf([freed(machine, pin, subject)]);
  }
}

const isSame = (a: FunctionClaim, b: FunctionClaim): boolean => a.fn === b.fn && a.subject === b.subject;

/** The multiples next to the pin that no window, other pin, reserved range or RAM rules out, the nearest first. */
function moved(evidence: Evidence, need: Pinned): Attempt {
  const { claim, name, pin } = need;
  const { subject } = claim;
  if (subject === undefined) return () => null;
  return (solve) => {
    let isNearest = true;
    for (const at of nearest(evidence, need)) {
      const machine = withPin(evidence.machine, claim.fn.id, subject, at);
      const plan = solve(machine);
      if (plan === undefined) isNearest = false;
      if (!plan) continue;
      const which = isNearest ? 'the nearest address that works' : 'a near address that works';
      return {
        candidate: { change: `pin ${name} to ${hex(at)} instead of ${hex(pin.base)}, ${which}`, machine },
        plan,
      };
    }
    return null;
  };
}

function nearest(evidence: Evidence, need: Pinned): bigint[] {
  const { pin, size, align } = need;
  const distance = (at: bigint) => (at > pin.base ? at - pin.base : pin.base - at);
  const inBridge = need.above.length > 0;
  const found = new Set<bigint>();
  for (const place of evidence.placesOf(need)) {
    const obstacles = [...evidence.blockedIn(place.window, inBridge), ...evidence.pinsBeside(need)];
    const taken = obstacles.map((one) => (one.inSteps ? evidence.rounded(one) : one));
    for (const piece of leftOf(place, taken)) {
      const low = alignUp(piece.base, align);
      const high = alignDown(piece.limit + 1n - size, align);
      if (piece.limit + 1n < size || high < low) continue;
      const below = alignDown(pin.base, align);
      const start = below < low ? low : below > high ? high : below;
      for (let step = 0n; step <= BigInt(MOST_TRIES); step++) {
        for (const at of [start + step * align, start - step * align]) if (at >= low && at <= high) found.add(at);
      }
    }
  }
  found.delete(pin.base);
  const sorted = [...found].sort((a, b) => ascending(distance(a), distance(b)) || ascending(a, b));
  return sorted.slice(0, MOST_TRIES);
}

function renumbered(machine: Machine, { host, fn }: FunctionClaim, subject: 'secondary' | 'subordinate'): Attempt {
  const pinned = fn.bridge?.pin[subject];
  const first = machine.hostBridges[host]?.buses[0];
  const last = lastBuses(machine)[host];
  if (pinned === undefined || first === undefined || last === undefined) return () => null;
  const numbers = Array.from({ length: last - first }, (_, i) => first + 1 + i)
    .filter((bus) => bus !== pinned)
    .sort((a, b) => Math.abs(a - pinned) - Math.abs(b - pinned) || a - b);
  const candidates = numbers.slice(0, MOST_TRIES).map((bus) => ({
    change: `pin ${nameOf(fn, subject)} to ${bus} instead of ${pinned}`,
    machine: withPin(machine, fn.id, subject, BigInt(bus)),
  }));
  return firstOf(candidates);
}

function freed(machine: Machine, { fn, subject }: FunctionClaim, known: ConstraintSubject): Candidate {
  const where = (plan: Plan): string => {
    const own = plan.functions.find(({ id }) => id === fn.id);
    const bridge = plan.bridges.find(({ id }) => id === fn.id);
    if (typeof subject === 'number') return hex(own?.bars.find(({ index }) => index === subject)?.address ?? 0n);
    if (subject === 'rom') return hex(own?.rom?.address ?? 0n);
    if (subject === 'secondary' || subject === 'subordinate') return String(bridge?.[subject] ?? '');
    if (subject === 'io' || subject === 'memory' || subject === 'prefetchable')
      return bridge?.[subject]?.toString() ?? 'closed';
    return hex(own?.sriov?.bars.find(({ index }) => `vf${index}` === subject)?.address ?? 0n);
  };
  return {
    change: (plan) => `leave ${nameOf(fn, subject)} unpinned; it would be ${where(plan)}`,
    machine: withPin(machine, fn.id, known, undefined),
  };
}
