import { formatSize, hex } from '../address/format.js';
import { ADDRESS_SPACE } from '../address/kinds.js';
import { AddressRange } from '../address/range.js';
import type { Machine, MachineFunction } from '../machine/model.js';
import type { Blocked } from './arithmetic.js';
import { candidatesIn, hullSentence, need, shortage, Sites } from './arithmetic.js';
import type { Background } from './background.js';
import { lastBuses, vfBuses } from './bus-numbers.js';
import type { Claim, FunctionClaim } from './claims.js';
import type { Core } from './conflict.js';
import { capital, factsOf, isFunctionClaim, isWindow, listed, nameOf, span, windowName } from './names.js';
import type { Constraint } from './plan.js';

/** The core as data: what is asked for first, then what the machine is like. */
export function constraintsOf(machine: Machine, core: Core): Constraint[] {
  return [
    ...core.claims.map((claim) => ofClaim(claim, core)),
    ...core.background.map((one) => ofBackground(machine, one, core)),
  ];
}

function ofClaim(claim: Claim, core: Core): Constraint {
  if (claim.kind === 'reserved') {
    const what = claim.reason === 'RAM' ? 'is RAM' : `is reserved: ${claim.reason}`;
    return { kind: 'reserved', base: claim.range.base, detail: `${claim.range.toString()} ${what}` };
  }
  const { fn, subject } = claim;
  if (core.field === 'buses') return ofBusClaim(claim);
  const facts = factsOf(claim);
  const name = capital(nameOf(fn, subject));
  const detail = facts
    ? claim.kind === 'pin' && facts.pin !== undefined
      ? `${name} is pinned to ${span(facts.pin, facts.size)}`
      : need(facts, name)
    : `${name}: ${reserveText(claim)}`;
  return { kind: claim.kind, id: fn.id, ...(subject === undefined ? {} : { bar: subject }), detail };
}

const reserveText = ({ fn }: FunctionClaim): string => {
  const reserve = fn.bridge?.reserve;
  const parts = (['io', 'memory', 'prefetchable'] as const).flatMap((kind) =>
    reserve && reserve[kind] > 0n ? [`${formatSize(reserve[kind])} of ${kind === 'io' ? 'I/O' : kind}`] : [],
  );
  return `${listed(parts)} to keep free`;
};

function ofBusClaim({ kind, fn, subject }: FunctionClaim): Constraint {
  if (kind === 'pin' && (subject === 'secondary' || subject === 'subordinate')) {
    return {
      kind,
      id: fn.id,
      bar: subject,
      detail: `${nameOf(fn, subject)} is pinned to ${fn.bridge?.pin[subject] ?? ''}`,
    };
  }
  if (subject === 'reserve') {
    return {
      kind: 'size',
      id: fn.id,
      bar: 'reserve',
      detail: `${fn.id} keeps ${fn.bridge?.reserve.buses ?? 0} bus numbers free for hotplug`,
    };
  }
  if (subject === 'vf0') {
    const buses = vfBuses([fn]).length;
    return {
      kind: 'size',
      id: fn.id,
      detail: `the ${fn.sriov?.totalVfs ?? 0} VFs of ${fn.id} answer on ${buses} bus numbers besides its own`,
    };
  }
  return { kind: 'size', id: fn.id, detail: `${fn.id} is a bridge and needs a bus number for what is behind it` };
}

function ofBackground(machine: Machine, one: Background, core: Core): Constraint {
  switch (one.kind) {
    case 'window': {
      const { type, base } = one.window;
      return {
        kind: 'window',
        id: one.host.id,
        type,
        base,
        detail: `${windowName(one.window)} of ${one.host.id} ends there`,
      };
    }
    case 'bridge':
      return { kind: 'bridge', id: one.fn.id, detail: hullSentence(one.fn, core.claims) ?? bridgeText(one.fn) };
    case 'bus-range': {
      const last = lastBuses(machine)[machine.hostBridges.indexOf(one.host)] ?? one.host.buses[1];
      return {
        kind: 'bus-range',
        id: one.host.id,
        detail: `${one.host.id} has bus numbers ${one.host.buses[0]} to ${last}`,
      };
    }
    case 'address-bits':
      return {
        kind: 'address-bits',
        detail: `the CPU has ${one.bits} address bits: nothing lies above ${hex((1n << BigInt(one.bits)) - 1n)}`,
      };
    default:
      return one satisfies never;
  }
}

function bridgeText(fn: MachineFunction): string {
  const { io = 32, prefetchable = 64 } = fn.bridge ?? {};
  const parts = [
    io === 0 ? 'no I/O window' : `an I/O window of ${io} bits`,
    'a memory window below 4 GiB',
    prefetchable === 0 ? 'no prefetchable window' : `a prefetchable window of ${prefetchable} bits`,
  ];
  return `${fn.id} has ${listed(parts)}; each is one piece around all that is behind it`;
}

/** The conflict in one paragraph, with the numbers that a person can check. */
export function summaryOf(machine: Machine, core: Core): string {
  if (core.field === 'buses') return busSummary(machine, core);
  const functions = core.claims.filter(isFunctionClaim);
  const sites = new Sites(machine);
  const above = [...new Set(functions.flatMap(({ fn }) => sites.above(fn)))];
  const homeless = above.flatMap((fn) => noWindow(fn, functions) ?? []);
  if (homeless.length > 0) return sentence(homeless);
  const end = functions.some(({ kind }) => kind === 'pin')
    ? 'these cannot hold together in any order of allocation'
    : 'no order of allocation helps';
  const hulls = [...new Set(above.flatMap((fn) => hullSentence(fn, core.claims) ?? []))];
  if (hulls.length > 0) return sentence([...hulls.slice(0, 1), end]);
  const room = roomSentence(core, functions, sites);
  if (room) return sentence([room, end]);
  const facts = [
    ...core.claims.map((claim) => ofClaim(claim, core)),
    ...core.background.map((one) => ofBackground(machine, one, core)),
  ];
  return sentence([...facts.map(({ detail }) => detail), end]);
}

const sentence = (parts: readonly string[]): string => `${capital(parts.join('; '))}.`;

/** What is short of room, and where: a pinned bridge window, or the host bridge's windows. */
function roomSentence(core: Core, functions: readonly FunctionClaim[], sites: Sites): string | null {
  const free = functions.filter(({ kind }) => kind === 'size');
  const met: Blocked[] = core.claims.flatMap((claim): Blocked[] => {
    if (claim.kind === 'reserved') {
      return [{ range: claim.range, why: claim.reason === 'RAM' ? 'RAM' : `the reserved range (${claim.reason})` }];
    }
    return claim.kind === 'pin' && !isWindow(claim) ? pinnedRange(claim) : [];
  });
  for (const one of core.background) {
    if (one.kind !== 'address-bits') continue;
    const range = AddressRange.of(1n << BigInt(one.bits), ADDRESS_SPACE - 1n);
    met.push({ range, why: `what ${one.bits} address bits of a CPU cannot reach` });
  }
  for (const window of functions.filter(isWindow)) {
    const [range] = pinnedRange(window);
    const inside = free.filter(({ fn }) => sites.above(fn).includes(window.fn));
    if (!range || inside.length === 0) continue;
    const name = `${nameOf(window.fn, window.subject)}, pinned to ${range.range.toString()},`;
    const short = shortage(inside, [{ name, base: range.range.base, size: range.range.size }], met);
    if (short) return short;
  }
  const [only] = free;
  const facts = only && factsOf(only);
  const site = facts && sites.of(only, facts);
  if (!site) return null;
  if (free.length > 1) {
    const windows = new Set(
      free.flatMap((claim) => {
        const own = factsOf(claim);
        return (own && sites.of(claim, own)?.windows) ?? [];
      }),
    );
    const named = [...windows].map((window) => ({ name: windowName(window), base: window.base, size: window.size }));
    return shortage(free, named, met);
  }
  const low = facts.type === 'mem64' && site.above.length > 0 && site.windows.every(({ type }) => type === 'mem32');
  const why = facts.prefetchable
    ? 'has no 64-bit prefetchable window'
    : 'has only memory windows for what is not prefetchable';
  const what = `${need(facts, nameOf(only.fn, only.subject))}${low ? `, below 4 GiB because ${site.above[0]?.id ?? ''} above it ${why}` : ''}`;
  if (site.windows.length === 0) return `${what}, and ${site.host.id} has no window that it may lie in`;
  return `${what}; ${site.windows.map((window) => candidatesIn(window, facts, met)).join('; ')}`;
}

const pinnedRange = (claim: FunctionClaim): Blocked[] => {
  const facts = factsOf(claim);
  if (facts?.pin === undefined || facts.pin + facts.size > ADDRESS_SPACE) return [];
  return [{ range: AddressRange.sized(facts.pin, facts.size), why: nameOf(claim.fn, claim.subject) }];
};

/** What asks for a window that the bridge has not. */
function noWindow(bridge: MachineFunction, claims: readonly FunctionClaim[]): string | null {
  const asking = claims.filter(({ fn, subject }) => {
    const type = factsOf({ fn, ...(subject === undefined ? {} : { subject }) })?.type;
    return type === 'io' && bridge.bridge?.io === 0;
  });
  if (asking.length === 0) return null;
  return `${listed(asking.map(({ fn, subject }) => nameOf(fn, subject)))} needs I/O ports, and ${bridge.id} above it has no I/O window`;
}

function busSummary(machine: Machine, core: Core): string {
  const functions = core.claims.filter(isFunctionClaim);
  const details = core.claims.map((claim) => ofClaim(claim, core).detail);
  const hosts = [...new Set(functions.map(({ host }) => host))].flatMap((host) => {
    const own = machine.hostBridges[host];
    return own ? [`${own.id} has bus numbers ${own.buses[0]} to ${lastBuses(machine)[host] ?? own.buses[1]}`] : [];
  });
  const pinned = functions.some(({ kind }) => kind === 'pin');
  const needed = functions.filter(({ kind, subject }) => kind === 'size' && subject === undefined).length;
  if (!pinned && needed > 4) {
    return `${capital(listed(hosts))}, the first for its root bus; ${needed} bridges (${listed(functions.map(({ fn }) => fn.id))}) need a bus number each, and there is none left for the last.`;
  }
  return `${capital(listed(details))}; ${listed(hosts)}, and bus numbers of bridges nest and never overlap.`;
}

/** Host bridges that share a segment and a root bus. */
export function sameRoot(machine: Machine): string | null {
  const seen = new Map<string, string>();
  for (const host of machine.hostBridges) {
    const key = `${host.segment}:${host.buses[0]}`;
    const other = seen.get(key);
    if (other !== undefined)
      return `${other} and ${host.id} are in segment ${host.segment} and both have root bus ${host.buses[0]}: bus numbers are shared in a segment, so give one of them another range or segment.`;
    seen.set(key, host.id);
  }
  return null;
}
