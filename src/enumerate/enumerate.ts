import { readOp, type ConfigAccess } from '../pci/config-access.js';
import { scanBus, type Scan } from './bus.js';
import { carryOut, together, type Steps } from './lockstep.js';
import type { HostToScan, SeenFunction, SeenHost, Topology } from './topology.js';
import { at, breadthFirst, busNumberWrites, nodeAt, numberDepthFirst, type Bus, type Node } from './tree.js';

export interface EnumerateOptions {
  /** False: nothing is written, bus numbers and BARs are taken as they stand. Always false where `access` is read-only. */
  readonly probe?: boolean;
  /** System page size for VF BARs in bytes, a power of two from 4096: what the guest's kernel will set. */
  readonly pageSize?: number;
  /** Functions that are looked at; beyond it a finding says so. */
  readonly maxFunctions?: number;
}

/**
 * Finds every function behind the host bridges and gives each bridge the bus numbers that a depth-first walk gives. Bus
 * numbers, ARI forwarding in ports, the system page size of SR-IOV functions and closed values in bridge windows that read
 * zero stay; every BAR, ROM and Command register is as it was.
 *
 * The walk itself goes level by level, all buses of a level at once: the bridges known so far are numbered as if nothing
 * lay behind them, what does shows in the next round, and the numbers move. That costs a few bus number writes and saves a
 * round trip per bus and step.
 */
export async function enumerate(
  access: ConfigAccess,
  hosts: readonly HostToScan[],
  options: EnumerateOptions = {},
): Promise<Topology> {
  const scan: Scan = {
    write: access.writable && (options.probe ?? true),
    pageSize: options.pageSize ?? 4096,
    maxFunctions: options.maxFunctions ?? 16_384,
    reported: [],
    functions: 0,
  };
  const roots = hosts.map((host): Bus => ({
    host,
    bridge: null,
    number: host.buses[0],
    last: host.buses[0],
    functions: [],
  }));
  await carryOut(access, scanTree(scan, roots));
  return {
    source: access.source,
    probed: scan.write,
    hosts: roots.map(finishHost),
    findings: scan.reported.map(({ bus, finding }) => ({ ...finding, at: { ...finding.at, bus: bus.number } })),
  };
}

function* scanTree(scan: Scan, roots: readonly Bus[]): Steps<void> {
  const visited = new Map<number, Set<number>>();
  for (const { host } of roots) visited.set(host.segment, (visited.get(host.segment) ?? new Set()).add(host.buses[0]));
  let fresh: readonly Bus[] = roots;
  while (fresh.length > 0) {
    const renumber = scan.write ? busNumberWrites(roots) : [];
    yield* together([once(renumber), ...fresh.map((bus) => scanBus(scan, bus))]);
    const bridges = fresh.flatMap(({ functions }) => functions.filter(({ seen }) => seen.bridge));
    // A bridge that did not keep its numbers has left its place: the numbers after it move once more.
    fresh = scan.write ? openBuses(scan, roots, bridges) : followBuses(scan, visited, bridges);
  }
  yield* leaveOutVanished(scan, roots, scan.write ? busNumberWrites(roots) : []);
}

/**
 * Reads the first dword of every function once more: one that has gone away since was half read, and is left out with what lies
 * behind it. `before` goes first, in the same step.
 */
function* leaveOutVanished(scan: Scan, roots: readonly Bus[], before: ReturnType<typeof busNumberWrites>): Steps<void> {
  const nodes = [...breadthFirst(roots)].flatMap(({ functions }) => functions);
  if (before.length + nodes.length === 0) return;
  const answers = yield [...before, ...nodes.map((node) => readOp(nodeAt(node), 0, 4))];
  const gone = new Set(nodes.filter((_, i) => answers[before.length + i] === 0xffff_ffff));
  if (gone.size === 0) return;
  for (const { bus } of gone) bus.functions = bus.functions.filter((node) => !gone.has(node));
  for (const { bus, slot } of gone) scan.reported.push({ bus, finding: { at: at(bus, slot), code: 'vanished' } });
}

function* once(ops: ReturnType<typeof busNumberWrites>): Steps<void> {
  if (ops.length > 0) yield ops;
}

/** A bus behind each new bridge, as long as its host bridge has numbers left; then all numbers anew. */
function openBuses(scan: Scan, roots: readonly Bus[], bridges: readonly Node[]): Bus[] {
  const used = new Map(roots.map((root) => [root.host, [...breadthFirst([root])].length]));
  const opened: Bus[] = [];
  for (const bridge of bridges) {
    const { host } = bridge.bus;
    const count = used.get(host) ?? 0;
    if (count > host.buses[1] - host.buses[0]) {
      scan.reported.push({ bus: bridge.bus, finding: { at: nodeAt(bridge), code: 'no-bus-left', buses: host.buses } });
      continue;
    }
    used.set(host, count + 1);
    bridge.behind = { host, bridge, number: 0, last: 0, functions: [] };
    opened.push(bridge.behind);
  }
  for (const root of roots) numberDepthFirst(root);
  return opened;
}

/** The buses that bridges route as they stand; each bus number is followed once. */
function followBuses(scan: Scan, visited: ReadonlyMap<number, Set<number>>, bridges: readonly Node[]): Bus[] {
  return bridges.flatMap((bridge) => {
    const { host, number } = bridge.bus;
    const [, secondary, subordinate] = bridge.buses;
    if (secondary === 0) return [];
    const seen = visited.get(host.segment);
    if (secondary <= number || subordinate < secondary || subordinate > host.buses[1] || seen?.has(secondary)) {
      const finding = { at: nodeAt(bridge), code: 'bus-numbers-unusable', secondary, subordinate } as const;
      scan.reported.push({ bus: bridge.bus, finding });
      return [];
    }
    seen?.add(secondary);
    const bus: Bus = { host, bridge, number: secondary, last: subordinate, functions: [] };
    bridge.behind = bus;
    return [bus];
  });
}

function finish(node: Node): SeenFunction {
  const { bridge } = node.seen;
  const [primary, secondary, subordinate] = node.buses;
  return {
    at: nodeAt(node),
    ...node.seen,
    bridge: bridge && {
      ...bridge,
      primary,
      secondary,
      subordinate,
      ari: node.ari,
      functions: node.behind?.functions.map(finish) ?? [],
    },
  };
}

function finishHost(root: Bus): SeenHost {
  const { id, segment, buses } = root.host;
  const lastBus = Math.max(...[...breadthFirst([root])].map(({ last }) => last));
  return { id, segment, buses, lastBus, functions: root.functions.map(finish) };
}
