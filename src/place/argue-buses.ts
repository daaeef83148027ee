import type { HostBridge, Machine, MachineFunction } from '../machine/model.js';
import { lastBuses, vfBuses } from './bus-numbers.js';
import { capital, counted, listed } from './names.js';

/* Why a machine that has nothing in it but a conflict of bus numbers has no numbering, where counting shows it. */

interface Node {
  readonly fn: MachineFunction;
  /** The bridges above, innermost first. */
  readonly above: readonly Node[];
  readonly secondary: number | undefined;
  readonly subordinate: number | undefined;
  /** Bus numbers for it and what is behind it, at the least. */
  least: number;
}

/** Host bridges that share a segment and a root bus. */
export function sameRoot(machine: Machine): readonly [HostBridge, HostBridge] | null {
  const seen = new Map<string, HostBridge>();
  for (const host of machine.hostBridges) {
    const key = `${host.segment}:${host.buses[0]}`;
    const other = seen.get(key);
    if (other) return [other, host];
    seen.set(key, host);
  }
  return null;
}

export function busArgument(machine: Machine, part: Machine): string | null {
  const lasts = lastBuses(machine);
  for (const [i, host] of part.hostBridges.entries()) {
    const nodes: Node[] = [];
    collect(host.functions, [], nodes);
    const range = { host, first: host.buses[0], last: lasts[i] ?? host.buses[1] };
    const found = outOfRange(nodes, range) ?? pinnedPairs(nodes) ?? tooDeep(nodes, range) ?? tooMany(nodes, range);
    if (found) return found;
  }
  return null;
}

interface Range {
  readonly host: HostBridge;
  readonly first: number;
  readonly last: number;
}

function collect(functions: readonly MachineFunction[], above: readonly Node[], into: Node[]): number {
  let least = vfBuses(functions).length;
  for (const fn of functions) {
    if (!fn.bridge) continue;
    const { pin, reserve, functions: below } = fn.bridge;
    const node = { fn, above, secondary: pin.secondary, subordinate: pin.subordinate, least: 0 };
    into.push(node);
    node.least = 1 + reserve.buses + collect(below, [node, ...above], into);
    least += node.least;
  }
  return least;
}

/** Bus numbers that a bridge and what is behind it need at the least. */
export const leastBuses = (fn: MachineFunction): number => collect([fn], [], []);

/** `pcie.0 has bus numbers 0 to 31`, and why no more. */
export function rangeText(machine: Machine, host: HostBridge): string {
  const last = lastBuses(machine)[machine.hostBridges.indexOf(host)] ?? host.buses[1];
  const next = machine.hostBridges.find(
    ({ segment, buses }) => last < host.buses[1] && segment === host.segment && buses[0] === last + 1,
  );
  const why = next ? `, because ${last + 1} is the root bus of ${next.id}` : '';
  return `${host.id} has bus number${host.buses[0] === last ? ` ${last} alone` : `s ${host.buses[0]} to ${last}`}${why}`;
}

type Pin = readonly ['secondary' | 'subordinate', number];

const pinsOf = ({ secondary, subordinate }: Node): Pin[] => [
  ...(secondary === undefined ? [] : [['secondary', secondary] as const]),
  ...(subordinate === undefined ? [] : [['subordinate', subordinate] as const]),
];
const behind = ({ bridge }: MachineFunction) => bridge?.functions ?? [];
const isPinned = ({ fn }: Node, [which, bus]: Pin) => `the ${which} bus number of ${fn.id} is pinned to ${bus}`;

function outOfRange(nodes: readonly Node[], { host, first, last }: Range): string | null {
  for (const node of nodes) {
    for (const pin of pinsOf(node)) {
      if (pin[1] > first && pin[1] <= last) continue;
      const why =
        pin[1] === first
          ? `that is the root bus of ${host.id}`
          : `${host.id} has ${first === last ? `bus number ${first} alone` : `bus numbers ${first} to ${last}`}`;
      return `${capital(isPinned(node, pin))}, and ${why}.`;
    }
  }
  return null;
}

/** Pins of one bridge, of one behind another, and of bridges side by side. */
function pinnedPairs(nodes: readonly Node[]): string | null {
  const pinned = nodes.filter((node) => pinsOf(node).length > 0);
  for (const [i, node] of pinned.entries()) {
    const { secondary, subordinate } = node;
    if (secondary !== undefined && subordinate !== undefined && subordinate < secondary) {
      return `The secondary bus number of ${node.fn.id} is pinned to ${secondary} and its subordinate one to ${subordinate}, below that.`;
    }
    for (const other of pinned.slice(0, i)) {
      const [outer, inner] = other.above.includes(node) ? [node, other] : [other, node];
      const found = inner.above.includes(outer) ? nested(outer, inner) : (beside(outer, inner) ?? beside(inner, outer));
      if (found) return found;
    }
  }
  return null;
}

function nested(outer: Node, inner: Node): string | null {
  for (const pin of pinsOf(inner)) {
    const start = `${capital(isPinned(inner, pin))}, and ${inner.fn.id} is behind ${outer.fn.id}, `;
    if (outer.secondary !== undefined && pin[1] <= outer.secondary)
      return `${start}whose secondary bus number is pinned to ${outer.secondary}: what is behind it has higher ones.`;
    if (outer.subordinate !== undefined && pin[1] > outer.subordinate)
      return `${start}whose subordinate bus number is pinned to ${outer.subordinate}: what is behind it has none above that.`;
  }
  return null;
}

function beside(a: Node, b: Node): string | null {
  for (const pin of pinsOf(b)) {
    for (const other of pinsOf(a)) {
      if (pin[1] === other[1])
        return `${capital(isPinned(a, other))} and ${isPinned(b, pin)}: a bus number belongs to one of them.`;
    }
    if (a.secondary === undefined || a.subordinate === undefined) continue;
    if (a.secondary < pin[1] && pin[1] < a.subordinate)
      return `${capital(isPinned(b, pin))}, which is one of those of ${a.fn.id}, pinned to ${a.secondary} to ${a.subordinate}, and ${b.fn.id} is not behind it.`;
  }
  return null;
}

/** A pin that leaves too few numbers for the bridges above, or for what is behind. */
function tooDeep(nodes: readonly Node[], { host, first, last }: Range): string | null {
  for (const node of nodes) {
    const { fn, above, secondary, least } = node;
    const fixed = above.findIndex((one) => one.secondary !== undefined);
    const between = fixed < 0 ? above : above.slice(0, fixed);
    const from = above[fixed];
    const low = from?.secondary ?? first;
    if (secondary !== undefined && secondary - low - 1 < between.length) {
      const bridges = listed(between.map((one) => one.fn.id).reverse());
      const start = from ? isPinned(from, ['secondary', low]) : `the root bus of ${host.id} is ${low}`;
      const free = secondary - low - 1;
      const need = `${bridges} above ${fn.id} ${between.length === 1 ? 'needs one' : `need ${between.length}`}`;
      return `${capital(isPinned(node, ['secondary', secondary]))} and ${start}: between them is room for ${counted(free, 'bus number')}, and ${need}.`;
    }
    const limit = [node, ...above].find((one) => one.subordinate !== undefined);
    if (secondary === undefined && limit !== node) continue;
    const start = secondary ?? low + between.length + 1;
    const end = limit?.subordinate ?? last;
    if (end - start + 1 >= least) continue;
    const own = nodes.filter((one) => one === node || one.above.includes(node)).map((one) => one.fn);
    const lead =
      secondary === undefined
        ? `${isPinned(node, ['subordinate', end])}, and its secondary one can be ${start} at the lowest`
        : `${isPinned(node, ['secondary', secondary])}, and what is behind it can have ${limit ? `${end}, the subordinate one of ${limit.fn.id},` : end} at the highest`;
    return `${capital(lead)}: that is room for ${counted(Math.max(0, end - start + 1), 'bus number')}, and ${whatNeeds(own, own.map(behind))}.`;
  }
  return null;
}

function tooMany(nodes: readonly Node[], { host, first, last }: Range): string | null {
  const top = nodes.filter(({ above }) => above.length === 0);
  const least = top.reduce((sum, node) => sum + node.least, vfBuses(host.functions).length);
  const free = last - first;
  if (least <= free) return null;
  const bridges = nodes.map(({ fn }) => fn);
  const range =
    free === 0
      ? `bus number ${first} alone, its root bus`
      : `bus numbers ${first} to ${last}, the first for its root bus`;
  return `${host.id} has ${range}: ${free === 0 ? 'none is left' : `${free} ${free === 1 ? 'is' : 'are'} left`} for what is behind it, and ${whatNeeds(bridges, [host.functions, ...bridges.map(behind)])}.`;
}

/** `2 bridges (rp0 and rp1) need one each and rp1 keeps 4 free for hotplug: 6 together`. */
function whatNeeds(bridges: readonly MachineFunction[], buses: readonly (readonly MachineFunction[])[]): string {
  const [only] = bridges;
  const ids = listed(bridges.map(({ id }) => id));
  const parts = only && bridges.length === 1 ? [`${only.id} needs one`] : [];
  if (bridges.length > 1) parts.push(`${bridges.length} bridges (${ids}) need one each`);
  const kept = bridges.filter(({ bridge }) => (bridge?.reserve.buses ?? 0) > 0);
  const keeps = kept.reduce((sum, { bridge }) => sum + (bridge?.reserve.buses ?? 0), 0);
  if (keeps > 0)
    parts.push(`${listed(kept.map(({ id }) => id))} ${kept.length === 1 ? 'keeps' : 'keep'} ${keeps} free for hotplug`);
  const vfs = buses.reduce((sum, functions) => sum + vfBuses(functions).length, 0);
  const pfs = buses.flat().filter((fn) => vfBuses([fn]).length > 0);
  if (vfs > 0) parts.push(`the VFs of ${listed(pfs.map(({ id }) => id))} answer on ${vfs} more`);
  const total = bridges.length + keeps + vfs;
  return `${listed(parts)}${parts.length > 1 ? `: ${total} together` : ''}`;
}
