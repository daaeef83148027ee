import { alignDown, alignUp, ascending, minOf } from '../address/align.js';
import { formatSize, hex } from '../address/format.js';
import { AddressRange } from '../address/range.js';
import type { Machine } from '../machine/model.js';
import type { Site } from './arithmetic.js';
import { Sites } from './arithmetic.js';
import type { Claim, FunctionClaim } from './claims.js';
import { reservedClaims } from './claims.js';
import type { Facts } from './names.js';
import { capital, factsOf, isFunctionClaim, isWindow, listed, nameOf, span, windowName } from './names.js';
import { segmentsOf } from './segments.js';

/** A conflict that one pin, or two, make by themselves, with the sentence that says so. */
export interface Fault {
  readonly claims: readonly Claim[];
  readonly summary: string;
}

interface Pin {
  readonly claim: FunctionClaim;
  readonly facts: Facts;
  readonly name: string;
  readonly base: bigint;
  readonly limit: bigint;
  readonly site: Site;
}

/** What is wrong with pins taken one by one, and then in pairs: the first mistake of that kind. */
export function pinFault(machine: Machine, field: 'memory' | 'io', claims: readonly Claim[]): Fault | null {
  const sites = new Sites(machine);
  const pins = claims.filter(isFunctionClaim).flatMap((claim): Pin[] => {
    const facts = factsOf(claim);
    const site = facts && sites.of(claim, facts);
    if (claim.kind !== 'pin' || !site || facts.pin === undefined) return [];
    const name = nameOf(claim.fn, claim.subject);
    return [{ claim, facts, name, base: facts.pin, limit: facts.pin + facts.size - 1n, site }];
  });
  for (const pin of pins) {
    const fault = misaligned(pin) ?? outside(pin, field) ?? (field === 'memory' ? blocked(machine, pin) : null);
    if (fault) return fault;
  }
  return overlapping(pins);
}

function misaligned({ claim, facts, name, base, limit }: Pin): Fault | null {
  const { align, size } = facts;
  const past = base & (align - 1n);
  if (past !== 0n) {
    const rule = size === align ? `${hex(align)}, its size` : hex(align);
    const nearest = `${hex(alignDown(base, align))} below and ${hex(alignUp(base, align))} above`;
    const summary = `${capital(name)} is pinned to ${hex(base)}, but its address has to be a multiple of ${rule}, and this is ${hex(past)} past one. The nearest are ${nearest}.`;
    return { claims: [claim], summary };
  }
  if ((size & (align - 1n)) === 0n) return null;
  const end = alignUp(limit + 1n, align) - 1n;
  const summary = `${capital(name)} is pinned to ${span(base, size)}, but it ends in steps of ${hex(align)}: not at ${hex(limit)}, but at ${hex(end)}.`;
  return { claims: [claim], summary };
}

const home = ({ site, base, limit }: Pin) =>
  site.windows.find((window) => window.base <= base && limit < window.base + window.size);

function outside(pin: Pin, field: 'memory' | 'io'): Fault | null {
  if (home(pin)) return null;
  const { claim, facts, name, base, limit, site } = pin;
  const { host, windows } = site;
  const ofField = host.windows.filter(({ type }) => (type === 'io') === (field === 'io'));
  const other = ofField.find((window) => window.base <= base && limit < window.base + window.size);
  const partly = ofField.find((window) => base < window.base + window.size && window.base <= limit);
  const why = other
    ? `which lies in ${windowName(other)}, but ${facts.type === 'mem64' ? 'a bridge above it has no window that reaches there' : 'it holds a 32-bit address and needs a 32-bit window'}`
    : partly
      ? `which reaches out of ${windowName(partly)}`
      : `which lies in no window of ${host.id}`;
  const known =
    windows.length > 0 ? `It may lie in ${listed(windows.map(windowName))}.` : `${host.id} has no window for it.`;
  return { claims: [claim], summary: `${capital(name)} is pinned to ${span(base, facts.size)}, ${why}. ${known}` };
}

/** On something reserved, on RAM, or beyond the address bits. */
function blocked(machine: Machine, pin: Pin): Fault | null {
  const { claim, facts, name, base, limit } = pin;
  const usable = segmentsOf(machine, 'memory').some(
    (segment) => segment.host === claim.host && segment.base <= base && limit <= segment.limit,
  );
  const window = home(pin);
  if (usable || !window) return null;
  const shift = window.cpuBase - window.base;
  const where = `${capital(name)} is pinned to ${span(base, facts.size)}`;
  for (const one of reservedClaims(machine)) {
    for (const at of shift === 0n ? [base] : [base, base + shift]) {
      if (at > one.range.limit || at + facts.size <= one.range.base) continue;
      const seen = at === base ? '' : `, which the CPU sees at ${span(at, facts.size)},`;
      const range = one.range.toString();
      const what = one.reason === 'RAM' ? `RAM (${range})` : `the reserved range ${range} (${one.reason})`;
      const summary = `${where}${seen} and that meets ${what}. ${clearOf(one.range, at - base, facts)}`;
      return { claims: [claim, one], summary };
    }
  }
  const bits = machine.physicalAddressBits;
  if (bits === undefined || limit + shift < 1n << BigInt(bits)) return null;
  const last = hex((1n << BigInt(bits)) - 1n);
  return { claims: [claim], summary: `${where}, but a CPU with ${bits} address bits reaches only to ${last}.` };
}

function clearOf(range: AddressRange, shift: bigint, { size, align }: Facts): string {
  const above = alignUp(range.limit + 1n - shift, align);
  const below = range.base - shift - size;
  const nearest = below < 0n ? `${hex(above)} above` : `${hex(alignDown(below, align))} below and ${hex(above)} above`;
  return `The nearest addresses clear of it are ${nearest}.`;
}

/** The first two pins that share addresses, where one is not a window around the other. */
function overlapping(pins: readonly Pin[]): Fault | null {
  const holds = (window: Pin, inner: Pin) => isWindow(window.claim) && inner.site.above.includes(window.claim.fn);
  const sorted = pins.toSorted(
    (a, b) => a.claim.host - b.claim.host || ascending(a.base, b.base) || ascending(b.limit, a.limit),
  );
  let open: Pin[] = [];
  for (const pin of sorted) {
    open = open.filter((other) => other.claim.host === pin.claim.host && other.limit >= pin.base);
    const other = open.find((one) => !holds(one, pin) && !holds(pin, one));
    if (other) {
      const common = AddressRange.of(pin.base, minOf(pin.limit, other.limit)).toString();
      const each = [other, pin].map(
        ({ name, base, facts }) => `${name} is pinned to ${span(base, facts.size)} (${formatSize(facts.size)})`,
      );
      return { claims: [other.claim, pin.claim], summary: `${capital(listed(each))}: both take ${common}.` };
    }
    open.push(pin);
  }
  return null;
}
