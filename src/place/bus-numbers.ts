import { deviceFunction } from '../pci/bdf.js';
import type { Bridge, HostBridge, Machine, MachineFunction } from '../machine/model.js';
import type { Budget } from './budget.js';
import { inSlotOrder } from './demand.js';
import type { Part } from './order.js';
import { findOrder } from './find-order.js';

export interface BusRange {
  readonly secondary: number;
  readonly subordinate: number;
}

export interface Buses {
  /** What lies behind each bridge. */
  readonly bridges: ReadonlyMap<MachineFunction, BusRange>;
  /** First and last bus number in use of each host bridge, in the machine's order. */
  readonly hosts: readonly (readonly [number, number])[];
}

/** A bus with what hangs on it, as far as numbers go. */
interface BusNode {
  readonly fn: MachineFunction | null;
  readonly pin: { readonly secondary?: number; readonly subordinate?: number };
  readonly reserve: number;
  /** Distances to the other buses on which VFs of this bus's functions answer, ascending. */
  readonly vfs: readonly number[];
  readonly children: readonly BusNode[];
  /** The lowest and highest bus number pinned here or below; null: none is. */
  readonly pinned: { readonly low: number; readonly high: number } | null;
  /** Bus numbers that it needs at the least. */
  readonly least: number;
  range: BusRange;
}

const nowhere: BusRange = { secondary: -1, subordinate: -1 };

/** The last bus number that each host bridge may use: one below the next root bus of its segment, at most. */
export function lastBuses(machine: Machine): number[] {
  return machine.hostBridges.map((host) =>
    machine.hostBridges.reduce(
      (last, other) =>
        other.segment === host.segment && other.buses[0] > host.buses[0] ? Math.min(last, other.buses[0] - 1) : last,
      host.buses[1],
    ),
  );
}

/**
 * Numbers the buses: depth first in slot order, each subtree right after the one before. Where pins leave no room for that
 * order, any other. Null where no numbering exists.
 */
export function numberBuses(machine: Machine, budget: Budget): Buses | null {
  const bridges = new Map<MachineFunction, BusRange>();
  const hosts: (readonly [number, number])[] = [];
  const lasts = lastBuses(machine);
  const roots = new Set<string>();
  for (const [i, host] of machine.hostBridges.entries()) {
    const root = `${host.segment}:${host.buses[0]}`;
    if (roots.has(root)) return null;
    roots.add(root);
    const node = rootNode(host);
    const last = numberHost(node, host.buses[0], lasts[i] ?? host.buses[1], budget);
    if (last === null) return null;
    hosts.push([host.buses[0], last]);
    collect(node, bridges);
  }
  return { bridges, hosts };
}

function numberHost(node: BusNode, first: number, last: number, budget: Budget): number | null {
  const straight = inOrder(node, first);
  if (straight !== null && straight <= last) return straight;
  if (!node.pinned) return null;
  return anyOrder(node, first, last, budget);
}

function collect(node: BusNode, into: Map<MachineFunction, BusRange>): void {
  for (const child of node.children) {
    if (child.fn) into.set(child.fn, child.range);
    collect(child, into);
  }
}

const rootNode = (host: HostBridge): BusNode => busNode(null, host.functions, {}, 0);

function busNode(
  fn: MachineFunction | null,
  functions: readonly MachineFunction[],
  pin: Bridge['pin'],
  reserve: number,
): BusNode {
  const children: BusNode[] = [];
  for (const child of inSlotOrder(functions)) {
    const { bridge } = child;
    if (bridge) children.push(busNode(child, bridge.functions, bridge.pin, bridge.reserve.buses));
  }
  const vfs = vfBuses(functions);
  const pins = [
    ...[pin.secondary, pin.subordinate].flatMap((bus) => (bus === undefined ? [] : [bus])),
    ...children.flatMap((child) => (child.pinned ? [child.pinned.low, child.pinned.high] : [])),
  ];
  return {
    fn,
    pin,
    reserve,
    vfs,
    children,
    pinned: pins.length > 0 ? { low: Math.min(...pins), high: Math.max(...pins) } : null,
    least: 1 + vfs.length + reserve + children.reduce((sum, child) => sum + child.least, 0),
    range: nowhere,
  };
}

/** How far above their own bus the VFs of these functions answer: routing id of VF n = function + offset + (n-1) x stride. */
export function vfBuses(functions: readonly MachineFunction[]): number[] {
  const buses = new Set<number>();
  for (const { slot, sriov } of functions) {
    for (let n = 0; n < (sriov?.totalVfs ?? 0); n++) {
      const routing = deviceFunction(slot) + (sriov?.firstVfOffset ?? 0) + n * (sriov?.vfStride ?? 0);
      if (routing > 0xff) buses.add(routing >> 8);
    }
  }
  return [...buses].sort((a, b) => a - b);
}

/** Numbers from `secondary` on in slot order. The last number used, or null where a pin or the VFs stand in the way. */
function inOrder(node: BusNode, secondary: number): number | null {
  if (secondary > 0xff) return null;
  const vfs = node.vfs.map((distance) => secondary + distance);
  let last = secondary;
  const used = [secondary, ...vfs];
  for (const child of node.children) {
    const end = childInOrder(child, last + 1, vfs);
    if (end === null) return null;
    for (let bus = child.range.secondary; bus <= end; bus++) used.push(bus);
    last = end;
  }
  last = withReserve(node, used, Math.max(last, vfs.at(-1) ?? 0));
  const pin = node.pin.subordinate;
  if (last > 0xff || (pin !== undefined && pin < last)) return null;
  node.range = { secondary, subordinate: pin ?? last };
  return node.range.subordinate;
}

function childInOrder(child: BusNode, from: number, vfs: readonly number[]): number | null {
  const pin = child.pin.secondary;
  if (pin !== undefined && pin < from) return null;
  for (let start = pin ?? from; ;) {
    const end = inOrder(child, start);
    if (end === null) return null;
    const hit = vfs.find((bus) => bus >= start && bus <= end);
    if (hit === undefined) return end;
    if (pin !== undefined) return null;
    start = hit + 1;
  }
}

/** The lowest subordinate at or above `last` that leaves `reserve` numbers free in one piece. */
function withReserve(node: BusNode, used: readonly number[], last: number): number {
  if (node.reserve === 0) return last;
  const sorted = used.toSorted((a, b) => a - b);
  const hole = sorted.some((bus, i) => i > 0 && bus - (sorted[i - 1] ?? bus) > node.reserve);
  return hole ? last : last + node.reserve;
}

/** The exact search: siblings in any order. The last number used, or null. */
function anyOrder(node: BusNode, first: number, last: number, budget: Budget): number | null {
  const root = subtree({ ...node, pin: { secondary: first } }, BigInt(last) + 1n, budget);
  const end = root.end(BigInt(first));
  if (end === null) return null;
  root.commit(BigInt(first));
  return Number(end) - 1;
}

/**
 * A bridge with its subtree as a part of the line of bus numbers. It may start above the cursor: its VFs' buses move with
 * its own, and only some starts keep them off what is pinned below.
 */
function subtree(node: BusNode, limit: bigint, budget: Budget): Part {
  const children = node.children.map((child) => subtree(child, limit, budget));
  const inside = new Map<bigint, { end: bigint; put(): void } | null>();
  const from = (secondary: bigint) => {
    let found = inside.get(secondary);
    if (found === undefined) inside.set(secondary, (found = numberInside(node, children, secondary, limit, budget)));
    return found;
  };
  const best = (cursor: bigint): bigint | null => {
    let chosen: bigint | null = null;
    const pin = node.pin.secondary;
    if (pin !== undefined) return BigInt(pin) >= cursor && from(BigInt(pin)) ? BigInt(pin) : null;
    for (let start = cursor; start < limit && start <= BigInt(node.pinned?.low ?? 0xff); start++) {
      const here = from(start);
      if (here && (chosen === null || here.end < (from(chosen)?.end ?? limit))) chosen = start;
      // Without pins below, a later start only ends later.
      if (!node.pinned && start === cursor) break;
    }
    return chosen;
  };
  const pinned = node.pinned ? node.pinned.high - node.pinned.low + 1 : 0;
  return {
    key: node.pinned ? null : shape(node),
    fixed: node.pinned ? { base: BigInt(node.pinned.low), limit: BigInt(node.pinned.high) } : null,
    least: BigInt(node.least),
    unit: 1n,
    needs: [{ unit: 1n, bytes: BigInt(Math.max(0, node.least - pinned)) }],
    end: (cursor) => {
      const start = best(cursor);
      return start === null ? null : (from(start)?.end ?? null);
    },
    commit: (cursor) => {
      const start = best(cursor);
      if (start !== null) from(start)?.put();
    },
  };
}

/** Subtrees with one shape need the same numbers. */
const shape = (node: BusNode): string => `${node.vfs.join('.')}+${node.reserve}(${node.children.map(shape).join()})`;

function numberInside(node: BusNode, children: readonly Part[], secondary: bigint, limit: bigint, budget: Budget) {
  const vfs = node.vfs.map((distance) => point(secondary + BigInt(distance)));
  const room: Part[] =
    node.reserve === 0
      ? []
      : [
          {
            ...point(0n),
            key: 'reserve',
            fixed: null,
            rigid: false,
            least: BigInt(node.reserve),
            needs: [{ unit: 1n, bytes: BigInt(node.reserve) }],
            end: (cursor) => cursor + BigInt(node.reserve),
          },
        ];
  const order = findOrder([...children, ...vfs, ...room], { start: secondary + 1n, end: limit, any: false }, budget);
  if (!order) return null;
  const pin = node.pin.subordinate;
  const last = BigInt(pin ?? order.end - 1n);
  if (last < order.end - 1n || last >= limit) return null;
  return {
    end: last + 1n,
    put() {
      let cursor = secondary + 1n;
      for (const part of order.parts) {
        const end = part.end(cursor);
        part.commit(cursor);
        cursor = end ?? cursor;
      }
      node.range = { secondary: Number(secondary), subordinate: Number(last) };
    },
  };
}

/** One bus number that is taken. */
const point = (bus: bigint): Part => ({
  key: null,
  fixed: { base: bus, limit: bus },
  least: 1n,
  unit: 1n,
  needs: [],
  rigid: true,
  end: (cursor) => (cursor <= bus ? bus + 1n : null),
  commit: () => undefined,
});
