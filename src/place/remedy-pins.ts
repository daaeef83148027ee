import { alignDown, alignUp, ascending } from '../address/align.js';
import { hex } from '../address/format.js';
import type { Machine } from '../machine/model.js';
import { Sites } from './arithmetic.js';
import { withPin } from './changes.js';
import type { FunctionClaim } from './claims.js';
import type { Core } from './conflict.js';
import type { Facts } from './names.js';
import { factsOf, isFunctionClaim, isWindow, nameOf } from './names.js';
import type { ConstraintSubject, Plan } from './plan.js';
import type { Attempt, Candidate } from './candidate.js';

/** Addresses to try for one pin. */
const MOST_ADDRESSES = 24;

/** Pins in the conflict, moved to a near address, or given up. */
export function* pinRemedies(machine: Machine, core: Core): Iterable<Attempt> {
  const pins = core.claims.filter(isFunctionClaim).filter(({ kind }) => kind === 'pin');
  if (core.field !== 'buses') {
    for (const claim of pins) {
      const facts = factsOf(claim);
      if (facts?.pin !== undefined && !isWindow(claim)) yield moved(machine, core, claim, facts, facts.pin);
    }
  }
  for (const claim of pins) if (claim.subject !== undefined) yield [freed(machine, claim, claim.subject)];
}

/** Addresses next to what is pinned, reserved or the end of a window, and the next multiples, the nearest first. */
function* moved(machine: Machine, core: Core, claim: FunctionClaim, facts: Facts, pin: bigint): Attempt {
  const { size, align } = facts;
  const site = new Sites(machine).of(claim, facts);
  if (!site || claim.subject === undefined) return;
  const found = new Set<bigint>();
  const beside = (base: bigint, limit: bigint) => {
    found.add(alignUp(limit + 1n, align));
    found.add(alignDown(base - size, align));
  };
  for (const { base, size: length } of site.windows) {
    found.add(alignUp(base, align));
    found.add(alignDown(base + length - size, align));
  }
  for (const other of core.claims) {
    if (other.kind === 'reserved') beside(other.range.base, other.range.limit);
    else {
      const own = other === claim ? undefined : factsOf(other);
      if (own?.pin !== undefined) beside(own.pin, own.pin + own.size - 1n);
    }
  }
  for (let step = 0n; step < 5n; step++) {
    found.add(alignDown(pin, align) - step * align);
    found.add(alignUp(pin, align) + step * align);
  }
  const distance = (at: bigint) => (at > pin ? at - pin : pin - at);
  const near = [...found]
    .filter((at) => at !== pin && site.windows.some((w) => w.base <= at && at + size <= w.base + w.size))
    .sort((a, b) => ascending(distance(a), distance(b)) || ascending(a, b));
  const name = nameOf(claim.fn, claim.subject);
  for (const at of near.slice(0, MOST_ADDRESSES)) {
    const change = `pin ${name} to ${hex(at)} instead of ${hex(pin)}, the nearest address found that works`;
    yield { change, machine: withPin(machine, claim.fn.id, claim.subject, at) };
  }
}

function freed(machine: Machine, { fn, subject }: FunctionClaim, known: ConstraintSubject): Candidate {
  const where = (plan: Plan): string => {
    const own = plan.functions.find(({ id }) => id === fn.id);
    const bridge = plan.bridges.find(({ id }) => id === fn.id);
    if (typeof subject === 'number') return hex(own?.bars.find(({ index }) => index === subject)?.address ?? 0n);
    if (subject === 'rom') return hex(own?.rom?.address ?? 0n);
    if (subject === 'secondary' || subject === 'subordinate') return String(bridge?.[subject] ?? '');
    if (subject === 'io' || subject === 'memory' || subject === 'prefetchable') {
      return bridge?.[subject]?.toString() ?? 'closed';
    }
    return hex(own?.sriov?.bars.find(({ index }) => `vf${index}` === subject)?.address ?? 0n);
  };
  return {
    change: (plan) => `leave ${nameOf(fn, subject)} unpinned; it would be ${where(plan)}`,
    machine: withPin(machine, fn.id, known, undefined),
  };
}
