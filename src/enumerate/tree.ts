import type { Bdf, Slot } from '../pci/bdf.js';
import { writeOp, type ConfigOp } from '../pci/config-access.js';
import { type1 } from '../pci/header.js';
import type { Finding } from './findings.js';
import type { HostToScan, SeenFunction } from './topology.js';

/** A bus while it is being scanned; its number changes as more bridges are found. */
export interface Bus {
  readonly host: HostToScan;
  /** The bridge that it lies behind; null: the root bus. */
  readonly bridge: Node | null;
  number: number;
  /** The last bus number behind it, its own included. */
  last: number;
  functions: Node[];
}

/** A function while its tree is being scanned. */
export interface Node {
  readonly bus: Bus;
  readonly slot: Slot;
  /** All that does not depend on bus numbers. */
  readonly seen: Omit<SeenFunction, 'at'>;
  /** The bus behind it, once it has one. */
  behind: Bus | null;
  /** Bus number registers as they stand: primary, secondary, subordinate. */
  buses: [number, number, number];
  /** ARI forwarding is on. */
  ari: boolean;
}

export const at = (bus: Bus, slot: Slot): Bdf => ({ segment: bus.host.segment, bus: bus.number, ...slot });
export const nodeAt = (node: Node): Bdf => at(node.bus, node.slot);

/** A finding keeps its bus, so that it can be told with the bus number that counts in the end. */
export interface Reported {
  readonly bus: Bus;
  readonly finding: Finding;
}

/** Buses of a tree, each before those behind it, and all of one level before the next. */
export function* breadthFirst(roots: readonly Bus[]): Generator<Bus> {
  let level = roots;
  while (level.length > 0) {
    yield* level;
    level = level.flatMap(({ functions }) => functions.flatMap(({ behind }) => (behind ? [behind] : [])));
  }
}

/** Gives every bus of a tree the number that a depth-first walk in slot order gives it. */
export function numberDepthFirst(bus: Bus): void {
  bus.last = bus.number;
  for (const { behind } of bus.functions) {
    if (!behind) continue;
    behind.number = bus.last + 1;
    numberDepthFirst(behind);
    bus.last = behind.last;
  }
}

/**
 * The writes that make bridges route the numbers their buses have. Top-down and level by level: once all bridges of a level
 * are written their ranges are disjoint, so that the next level can be reached whatever was there before. Byte by byte: the
 * secondary latency timer shares the dword.
 */
export function busNumberWrites(roots: readonly Bus[]): ConfigOp[] {
  const ops: ConfigOp[] = [];
  for (const bus of breadthFirst(roots)) {
    for (const node of bus.functions) {
      if (!node.seen.bridge) continue;
      const want: Node['buses'] = node.behind ? [bus.number, node.behind.number, node.behind.last] : [0, 0, 0];
      const have = node.buses;
      // A bridge that routes nothing is left alone if it routes nothing already.
      if (!node.behind && have[1] === 0 && have[2] === 0) continue;
      if (want[0] !== have[0] || want[1] !== have[1]) {
        ops.push(writeOp(nodeAt(node), type1.primaryBus.offset, 2, want[0] | (want[1] << 8)));
      }
      if (want[2] !== have[2]) ops.push(writeOp(nodeAt(node), type1.subordinateBus.offset, 1, want[2]));
      node.buses = want;
    }
  }
  return ops;
}
