import { alignDown, alignUp, isAligned, maxOf, minOf } from '../../address/align.js';
import type { BusAddress, CpuAddress, Size } from '../../address/kinds.js';
import type { ConstraintSubject } from '../../place/plan.js';
import type { MachineFunction } from '../../machine/model.js';

/** What a resource is, as bits that combine (include/linux/ioport.h: IORESOURCE_IO, _MEM, _PREFETCH, _MEM_64). */
export const IO = 1;
export const MEM = 2;
export const PREFETCH = 4;
export const MEM64 = 8;
export const TYPE = IO | MEM;
export const KIND = IO | MEM | PREFETCH | MEM64;

const unsigned = (value: bigint): bigint => BigInt.asUintN(64, value);

/**
 * A range that the kernel keeps: a host bridge window, a bridge window, or a register that asks for space. Addresses are
 * CPU addresses, `end` is the last byte. One that is assigned has a parent; one whose `kinds` are 0 asks for nothing.
 */
export class Resource {
  parent: Resource | null = null;
  /** Ascending. */
  readonly children: Resource[] = [];
  /** A sized window: `start` says its alignment until it is assigned (IORESOURCE_STARTALIGN). */
  alignedByStart = false;
  /** Linux 7: failed, or read back as closed (IORESOURCE_UNSET). */
  unset = false;
  /** Linux 7: a window that nothing needs (IORESOURCE_DISABLED). */
  disabled = false;

  constructor(
    /** Null: a host bridge's window. */
    readonly owner: Device | null,
    readonly subject: ConstraintSubject,
    public kinds: number,
    public start: CpuAddress,
    public end: CpuAddress,
    /** A register's alignment: a BAR's size, one VF's size of a group. 0: a window. */
    readonly natural: Size = 0n,
    /** Of a host bridge's window: CPU address minus bus address. */
    readonly shift: bigint = 0n,
  ) {}

  /** As the kernel computes it: 64 bits, 1 where start and end are both 0. */
  get size(): Size {
    return unsigned(this.end - this.start + 1n);
  }

  get isWindow(): boolean {
    return this.subject === 'io' || this.subject === 'memory' || this.subject === 'prefetchable';
  }

  get alignment(): Size {
    if (this.natural > 0n) return this.natural;
    return this.alignedByStart ? this.start : 0n;
  }

  setRange(start: CpuAddress, size: Size): void {
    this.start = start;
    this.end = start + size - 1n;
  }

  /** Gives its place back, keeps its numbers. */
  release(): void {
    const siblings = this.parent?.children;
    if (siblings) siblings.splice(siblings.indexOf(this), 1);
    this.parent = null;
  }

  /** Everything in it gives its place back and keeps no more than its size (release_child_resources). */
  releaseChildren(): void {
    for (const child of this.children.splice(0)) {
      child.parent = null;
      child.releaseChildren();
      child.setRange(0n, child.size);
    }
  }

  /** Enters it below `parent`, which has room there. */
  claim(parent: Resource): void {
    const { children } = parent;
    let at = children.length;
    while (at > 0 && (children[at - 1]?.start ?? 0n) > this.start) at--;
    children.splice(at, 0, this);
    this.parent = parent;
  }

  /** What of its parent's that it would run into, or undefined. */
  conflictIn(parent: Resource): Resource | undefined {
    return parent.children.find((other) => other !== this && other.start <= this.end && this.start <= other.end);
  }

  contains(other: { readonly start: CpuAddress; readonly end: CpuAddress }): boolean {
    return this.start <= other.start && other.end <= this.end;
  }

  /** Bus address of a CPU address in it. */
  toBus(address: CpuAddress): BusAddress {
    return address - this.#host().shift;
  }

  #host(): Resource {
    return this.parent ? this.parent.#host() : this;
  }
}

/** A function as the kernel keeps it (struct pci_dev). */
export interface Device {
  readonly fn: MachineFunction;
  readonly bus: Bus;
  /** In the kernel's order: BARs, ROM, VF BAR groups, then I/O, memory and prefetchable window. */
  readonly resources: Resource[];
  /** The bus behind a bridge. */
  secondary: Bus | null;
}

export interface Bus {
  readonly number: number;
  /** Last bus number behind it. */
  subordinate: number;
  readonly parent: Bus | null;
  /** Null: a root bus. */
  readonly bridge: Device | null;
  /** In slot order. */
  readonly devices: Device[];
  /** The bridge's windows, or the host bridge's in the order in which they were told. */
  readonly windows: readonly Resource[];
}

/** Where in a window space is looked for. */
export interface Search {
  readonly size: Size;
  readonly align: Size;
  readonly min: CpuAddress;
  readonly max: CpuAddress;
  /** Linux 7: where a window's size is no multiple of its alignment, the odd part may lie below the aligned address. */
  readonly oddPartBelow?: Size | undefined;
  /** Moves the start of a gap past what the machine keeps for itself (x86). */
  readonly avoid?: ((start: CpuAddress, end: CpuAddress) => readonly [CpuAddress, CpuAddress]) | undefined;
  /** Moves an aligned address further up (x86: ports that ISA cards would answer on). */
  readonly adjust?: ((start: CpuAddress) => CpuAddress) | undefined;
}

/** The first address in `window` with room for it, lowest gap first, `self` counted as free. kernel/resource.c. */
export function findSpace(window: Resource, search: Search, self: Resource | null): CpuAddress | undefined {
  const { size, align, min, max, oddPartBelow, avoid, adjust } = search;
  let from = window.start;
  const others = window.children;
  for (let i = 0; i <= others.length; i++) {
    const next = others[i];
    if (next && next === self) continue;
    const to = next ? next.start - 1n : window.end;
    if (from <= to) {
      let [start, end] = [maxOf(from, min), minOf(to, max)];
      if (avoid) [start, end] = avoid(start, end);
      let at = alignUp(start, align);
      if (adjust && at <= end) at = adjust(at);
      if (oddPartBelow !== undefined) at = lowered(at, start, size, align, oddPartBelow);
      if (at >= start && at + size - 1n <= end) return at;
    }
    if (!next) break;
    from = next.end + 1n;
  }
  return undefined;
}

/** The aligned address less the part of the size beyond a multiple of the alignment, if the gap has room for that. */
function lowered(at: CpuAddress, gap: CpuAddress, size: Size, align: Size, granularity: Size): CpuAddress {
  const odd = size - alignDown(size, align);
  if (odd === 0n || !isAligned(odd, granularity) || at < odd || gap > at - odd) return at;
  return at - odd;
}
