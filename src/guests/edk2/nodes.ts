import { alignUp, maxOf } from '../../address/align.js';
import type { Size } from '../../address/kinds.js';
import type { MachineFunction } from '../../machine/model.js';

/** EDK2's kinds of space (MdeModulePkg/Bus/Pci/PciBusDxe: PciBarTypeIo16, Mem32, PMem32, Mem64, PMem64), in its order. */
export const kinds = ['io', 'mem32', 'pmem32', 'mem64', 'pmem64'] as const;
export type Kind = (typeof kinds)[number];

/** What wants space: a register, a bridge's or root bridge's window with what is in it, or room that is kept for hotplug. */
export interface Node {
  /** Null: a root bridge. */
  readonly fn: MachineFunction | null;
  readonly what: number | 'rom' | `vf${number}` | 'window' | 'padding';
  /** Of what it asks for; a window's says which registers it is written to. */
  readonly kind: Kind;
  length: Size;
  align: Size;
  /** From the start of the window around it. */
  offset: Size;
  readonly children: Node[];
}

export const leaf = (fn: MachineFunction | null, what: Node['what'], kind: Kind, length: Size, align: Size): Node => ({
  fn,
  what,
  kind,
  length,
  align,
  offset: 0n,
  children: [],
});

/** Windows of one bridge, by kind, before it is known which are needed. */
export type Windows = Record<Kind, Node>;

const IO_STEP = 0x1000n;
const MEMORY_STEP = 0x100000n;

export function emptyWindows(fn: MachineFunction | null): Windows {
  const window = (kind: Kind) => leaf(fn, 'window', kind, 0n, kind === 'io' ? IO_STEP : MEMORY_STEP);
  return {
    io: window('io'),
    mem32: window('mem32'),
    pmem32: window('pmem32'),
    mem64: window('mem64'),
    pmem64: window('pmem64'),
  };
}

/**
 * Puts a node in a window's list (InsertResourceNode): larger alignments first, and among equal ones in front, except
 * that what is no multiple of its alignment goes behind.
 */
export function insert(window: Node, node: Node): void {
  const rest = ({ length, align }: Node): Size => length & (align - 1n);
  const { children } = window;
  let at = 0;
  for (; at < children.length; at++) {
    const other = children[at];
    if (!other || node.align > other.align) break;
    if (node.align === other.align && (rest(node) === 0n || rest(node) >= rest(other))) break;
  }
  children.splice(at, 0, node);
}

/** Moves all of a window's contents to another (MergeResourceTree). */
export function merge(to: Node, from: Node): void {
  for (const node of from.children.splice(0)) insert(to, node);
}

/**
 * Lays out a window: one after the other, each aligned; room for hotplug lies over the rest, the larger counts. What is
 * kept for hotplug in an I/O window is not rounded up to what the window can be (CalculateResourceAperture).
 */
export function layOut(window: Node): void {
  const ends = { typical: 0n, padding: 0n };
  for (const node of window.children) {
    const usage = node.what === 'padding' ? 'padding' : 'typical';
    if (window.kind === 'io' && usage === 'padding') {
      ends.padding = node.length;
      continue;
    }
    node.offset = alignUp(ends[usage], node.align);
    ends[usage] = node.offset + node.length;
  }
  const padding = window.kind === 'io' ? ends.padding : alignUp(ends.padding, window.align);
  window.length = maxOf(alignUp(ends.typical, window.align), padding);
  window.align = maxOf(window.align, window.children[0]?.align ?? 0n);
}
