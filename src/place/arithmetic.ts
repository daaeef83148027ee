import { alignDown, alignUp, maxOf, minOf } from '../address/align.js';
import { formatSize, hex } from '../address/format.js';
import { AddressRange } from '../address/range.js';
import { RangeSet } from '../address/range-set.js';
import type { HostBridge, HostWindow, Machine, MachineFunction } from '../machine/model.js';
import { eachFunction } from '../machine/model.js';
import type { Claim, FunctionClaim } from './claims.js';
import type { Facts } from './names.js';
import { amount, factsOf, isFunctionClaim, listed, nameOf, span, windowName } from './names.js';

/** Where on a machine something is asked for. */
export interface Site {
  readonly host: HostBridge;
  /** The bridges above, innermost first. */
  readonly above: readonly MachineFunction[];
  /** Host bridge windows that it may lie in, directly or in the windows of bridges. */
  readonly windows: readonly HostWindow[];
}

/** Finds functions on a machine. */
export class Sites {
  readonly #parents = new Map<MachineFunction, MachineFunction | null>();

  constructor(private readonly machine: Machine) {
    for (const host of machine.hostBridges) {
      for (const { fn, parent } of eachFunction(host.functions)) this.#parents.set(fn, parent);
    }
  }

  above(fn: MachineFunction): MachineFunction[] {
    const bridges: MachineFunction[] = [];
    for (let at = this.#parents.get(fn); at; at = this.#parents.get(at)) bridges.push(at);
    return bridges;
  }

  of(claim: FunctionClaim, facts: Facts): Site | null {
    const host = this.machine.hostBridges[claim.host];
    if (!host) return null;
    const above = this.above(claim.fn);
    const excepted = this.machine.allowNonPrefetchableInPrefetchable && facts.type === 'mem64';
    const high = above.every(({ bridge }) => bridge && bridge.prefetchable > 0) && (facts.prefetchable || excepted);
    const windows = host.windows.filter(({ type, base }) => {
      if ((type === 'io') !== (facts.type === 'io')) return false;
      if (type !== 'mem64') return true;
      if (above.length === 0) return facts.type === 'mem64';
      return high && (facts.type === 'mem64' || base < 1n << 32n);
    });
    return { host, above, windows };
  }
}

/** `a 512 MiB BAR needs an address that is a multiple of 0x20000000`. */
export function need(facts: Facts, what: string): string {
  const size = formatSize(facts.size);
  if (facts.align === 1n) return `${what} needs ${size} in one piece`;
  return `${what} needs ${size} at an address that is a multiple of ${hex(facts.align)}`;
}

/** A range that is taken, by bus or CPU address, and by what. */
export interface Blocked {
  readonly range: AddressRange;
  readonly why: string;
}

/** Why no multiple of the alignment works in a window: counts the candidates and says what each meets. */
export function candidatesIn(window: HostWindow, facts: Facts, blocked: readonly Blocked[]): string {
  const { align, size } = facts;
  const end = minOf(window.base + window.size, facts.type === 'mem64' ? window.base + window.size : 1n << 32n);
  const first = alignUp(window.base, align);
  const name = windowName(window);
  if (size > window.size) {
    return `${name} has ${amount(window.size)}, ${amount(size - window.size)} too few`;
  }
  if (first >= end)
    return `${name} has no such address: the nearest are ${hex(alignDown(window.base, align))} and ${hex(first)}`;
  const count = (end - 1n - first) / align + 1n;
  const list = Array.from({ length: Number(minOf(count, 4n)) }, (_, i) => first + BigInt(i) * align);
  const fates = list.map((at) => fate(window, end, at, size, blocked));
  const [same] = fates;
  const all = count > 4n ? `${hex(first)} to ${hex(first + (count - 1n) * align)}` : listed(list.map((at) => hex(at)));
  const candidates = `${name} has ${count === 1n ? 'one candidate' : `${count} candidates`}, ${all}`;
  if (count > 1n && fates.every((one) => one === same)) return `${candidates}, and each ${same ?? ''}`;
  if (count > 4n) return `${candidates}, and none of them will do`;
  return `${candidates}, and ${listed(fates.map((one, i) => (count === 1n ? `it ${one}` : `${hex(list[i] ?? 0n)} ${one}`)))}`;
}

function fate(window: HostWindow, end: bigint, at: bigint, size: bigint, blocked: readonly Blocked[]): string {
  const limit = at + size - 1n;
  if (limit >= end) return `would end at ${hex(limit)}, ${hex(limit + 1n - end)} past the window`;
  const shift = window.cpuBase - window.base;
  for (const { range, why } of blocked) {
    const hit = (low: bigint) => low <= range.limit && range.base <= low + size - 1n;
    if (hit(at) || (shift !== 0n && hit(at + shift))) return `meets ${why} at ${range.toString()}`;
  }
  return 'will not do';
}

/** Adds up what unpinned things need and what `windows` have; null where that is not what is short. */
export function shortage(
  claims: readonly FunctionClaim[],
  windows: readonly { readonly name: string; readonly base: bigint; readonly size: bigint }[],
  reserved: readonly Blocked[],
): string | null {
  const all = claims.flatMap((claim) => {
    const facts = factsOf(claim);
    return facts ? [{ claim, facts }] : [];
  });
  if (all.length === 0 || windows.length === 0) return null;
  const usable = RangeSet.of(windows.map(({ base, size }) => AddressRange.sized(base, size))).subtract(
    reserved.map(({ range }) => range),
  );
  const total = all.reduce((sum, { facts }) => sum + facts.size, 0n);
  const names = listed(all.map(({ claim, facts }) => `${nameOf(claim.fn, claim.subject)} (${formatSize(facts.size)})`));
  const where = listed(windows.map(({ name }) => name));
  if (total > usable.size) {
    return `${names} need${all.length === 1 ? 's' : ''} ${amount(total)}${all.length === 1 ? '' : ' together'}, and ${where} ${windows.length === 1 ? 'has' : 'have'} ${amount(usable.size)}${reserved.length > 0 ? ' free of what is pinned or reserved' : ''}`;
  }
  return slotShortage(all, usable, where);
}

/** Counts the aligned places of the largest size that is short of them. */
function slotShortage(
  all: readonly { claim: FunctionClaim; facts: Facts }[],
  usable: RangeSet,
  where: string,
): string | null {
  const sizes = [...new Set(all.map(({ facts }) => facts.align))].sort((a, b) => (a > b ? -1 : 1));
  for (const align of sizes) {
    const places = usable.ranges.reduce((sum, range) => {
      return sum + maxOf(0n, (alignDown(range.limit + 1n, align) - alignUp(range.base, align)) / align);
    }, 0n);
    const wanted = all.reduce((sum, { facts }) => (facts.align >= align ? sum + facts.size / align : sum), 0n);
    if (wanted <= places) continue;
    const users = all.filter(({ facts }) => facts.align >= align).map(({ claim }) => nameOf(claim.fn, claim.subject));
    return `${listed(users)} need ${wanted} aligned pieces of ${formatSize(align)}, and ${where} ${places === 1n ? 'has one' : `has ${places}`}`;
  }
  return null;
}

/** The window that a bridge would need around what is pinned below it, and what lies inside; null where nothing does. */
export function hullSentence(bridge: MachineFunction, claims: readonly Claim[]): string | null {
  const pins = claims.filter(isFunctionClaim).flatMap((claim) => {
    const facts = factsOf(claim);
    if (claim.kind !== 'pin' || facts?.pin === undefined) return [];
    return [
      {
        name: nameOf(claim.fn, claim.subject),
        fn: claim.fn,
        facts,
        base: facts.pin,
        limit: facts.pin + facts.size - 1n,
      },
    ];
  });
  const below = new Set([...eachFunction(bridge.bridge?.functions ?? [])].map(({ fn }) => fn));
  const inside = pins.filter(({ fn }) => below.has(fn));
  const outside = pins.filter(({ fn }) => !below.has(fn));
  const [one] = inside;
  if (!one) return null;
  const granule = one.facts.type === 'io' ? 0x1000n : 0x10_0000n;
  const base = alignDown(
    inside.reduce((low, pin) => minOf(low, pin.base), one.base),
    granule,
  );
  const limit = alignUp(inside.reduce((high, pin) => maxOf(high, pin.limit), one.limit) + 1n, granule) - 1n;
  const hit = outside.filter((pin) => pin.base <= limit && base <= pin.limit);
  if (hit.length === 0) return null;
  const causes = listed(inside.map(({ name }) => name));
  const intruders = listed(hit.map(({ name, base: at, facts }) => `${name} at ${span(at, facts.size)}`));
  return `${bridge.id}'s window must run from ${hex(base)} to ${hex(limit)} because of ${causes}, and ${intruders} ${hit.length === 1 ? 'lies' : 'lie'} inside but behind another bridge`;
}
