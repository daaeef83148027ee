import { FOUR_GIB, ADDRESS_SPACE, KiB, MiB } from '../address/kinds.js';
import { deviceFunction } from '../pci/bdf.js';
import type { Bar, BarType, Bridge, Machine, MachineFunction } from '../machine/model.js';
import type { ConstraintSubject } from './plan.js';

export type WindowKind = 'io' | 'memory' | 'prefetchable';

/** First and last address, both included. */
export interface Span {
  readonly base: bigint;
  readonly limit: bigint;
}

/**
 * Something that needs addresses: a BAR, a ROM, a VF BAR group, hotplug room, or a bridge window with its contents. The
 * mutable fields belong to the solver that runs on it.
 */
export interface Item {
  readonly fn: MachineFunction;
  /** A window's is its kind. */
  readonly subject: ConstraintSubject;
  /** Index of the host bridge in the machine. */
  readonly host: number;
  /** Index of the function below its host bridge, depth first in slot order. */
  readonly order: number;
  /** Host bridge windows that it may lie in when it is on a root bus, the preferred first. */
  readonly tracks: readonly BarType[];
  /** Null for what is not a bridge window. */
  readonly window: WindowDemand | null;
  size: bigint;
  align: bigint;
  /** The last address that it may take. */
  ceiling: bigint;
  /** What cannot move: the pin, or for a window the hull of the pins inside. */
  fixed: Span | null;
  /** Bus address. */
  at: bigint;
  /** Where it lies in a window that has no address yet. */
  offset: bigint;
}

export interface WindowDemand {
  readonly kind: WindowKind;
  /** A window's base is a multiple of this, and its limit one less than a multiple. */
  readonly granule: bigint;
  /** The last address that the window's registers can say. */
  readonly ceiling: bigint;
  readonly pin: Span | undefined;
  readonly items: Item[];
}

/** PCI-to-PCI Bridge Architecture 1.2 §3.2.5.6 (I/O), §3.2.5.8 (memory), §3.2.5.9 (prefetchable). */
export const granules: Readonly<Record<WindowKind, bigint>> = { io: 4n * KiB, memory: MiB, prefetchable: MiB };

/** Something behind a bridge that has no window for it. */
export interface Homeless {
  readonly fn: MachineFunction;
  readonly subject: ConstraintSubject;
  readonly bridge: MachineFunction;
  readonly window: WindowKind;
}

export interface Demand {
  /** What lies on the root buses, host bridge by host bridge, in bus order. */
  readonly items: Item[];
  readonly homeless: Homeless[];
  /** Where a window had to be chosen among two, in bus order. */
  readonly choices: Choice[];
}

/** Decisions by {@link Choice} key. */
export type Decisions = ReadonlyMap<string, WindowKind>;

/** A resource that may lie in either of two windows of the bridge above it; the first is what a reader expects. */
export class Choice {
  constructor(
    readonly item: Item,
    private readonly parent: MachineFunction,
    readonly options: readonly [WindowKind, WindowKind],
  ) {}

  get key(): string {
    return `${this.item.fn.id}/${this.item.subject}`;
  }

  /** Unpinned choices with the same group can stand for each other. Null: this one stands alone. */
  get group(): string | null {
    const { window, fixed, size, align, ceiling } = this.item;
    if (window !== null || fixed !== null) return null;
    return `${this.parent.id} ${size}/${align} ${ceiling} ${this.options[0]}`;
  }
}

const ioOnly = ['io'] as const;
const memoryOnly = ['memory'] as const;
const memoryFirst = ['memory', 'prefetchable'] as const;
const prefetchableFirst = ['prefetchable', 'memory'] as const;
const wideTracks = ['mem64', 'mem32'] as const;
const narrowTracks = { io: ['io'], mem32: ['mem32'] } as const;

const LOW = FOUR_GIB - 1n;
const HIGH = ADDRESS_SPACE - 1n;
const bySlot = (a: MachineFunction, b: MachineFunction) => deviceFunction(a.slot) - deviceFunction(b.slot);
const sortedBySlot = (functions: readonly MachineFunction[]): readonly MachineFunction[] =>
  functions.every((fn, i) => i === 0 || bySlot(functions[i - 1] ?? fn, fn) <= 0)
    ? functions
    : [...functions].sort(bySlot);

/** The functions of a bus in slot order, however they were listed. */
export const inSlotOrder = sortedBySlot;

/** Windows of a bridge under construction. */
type Open = Record<WindowKind, Item[]>;

/**
 * What some host bridges, given by index, need of one kind of address space, with `decisions` taken. What is not decided goes where a reader
 * expects it, or, with `undecided: 'drop'`, is left out: what has no plan then has none at all.
 */
export function demandOf(
  machine: Machine,
  space: 'io' | 'memory',
  hosts: ReadonlySet<number>,
  decisions: Decisions,
  undecided: 'expect' | 'drop' = 'expect',
): Demand {
  const demand: Demand = { items: [], homeless: [], choices: [] };
  machine.hostBridges.forEach((bridge, host) => {
    if (!hosts.has(host)) return;
    new Builder(machine, host, space, decisions, undecided === 'drop', demand).root(bridge.functions);
  });
  return demand;
}

class Builder {
  #order = 0;

  constructor(
    private readonly machine: Machine,
    private readonly host: number,
    private readonly space: 'io' | 'memory',
    private readonly decisions: Decisions,
    private readonly drop: boolean,
    private readonly demand: Demand,
  ) {}

  root(functions: readonly MachineFunction[]): void {
    for (const fn of sortedBySlot(functions)) this.fn(fn, null, null);
  }

  private fn(fn: MachineFunction, parent: MachineFunction | null, open: Open | null): void {
    const order = this.#order++;
    for (const bar of fn.bars) this.bar(fn, bar, bar.index, bar.size, parent, open);
    if (fn.rom && this.space === 'memory') {
      const rom: Bar = { index: 0, type: 'mem32', prefetchable: false, ...fn.rom };
      this.bar(fn, rom, 'rom', rom.size, parent, open);
    }
    if (fn.sriov && fn.sriov.totalVfs > 0) {
      for (const bar of fn.sriov.bars) {
        this.bar(fn, bar, `vf${bar.index}`, bar.size * BigInt(fn.sriov.totalVfs), parent, open);
      }
    }
    if (fn.bridge) this.bridge(fn, fn.bridge, order, parent, open);
  }

  private bar(
    fn: MachineFunction,
    bar: Bar,
    subject: ConstraintSubject,
    size: bigint,
    parent: MachineFunction | null,
    open: Open | null,
  ): void {
    if ((bar.type === 'io') !== (this.space === 'io')) return;
    const item: Item = {
      fn,
      subject,
      host: this.host,
      order: this.#order - 1,
      tracks: tracksOf(bar.type),
      window: null,
      size,
      align: bar.size,
      ceiling: bar.type === 'mem64' ? HIGH : LOW,
      fixed: bar.pin === undefined ? null : { base: bar.pin, limit: bar.pin + size - 1n },
      at: bar.pin ?? -1n,
      offset: 0n,
    };
    this.add(item, parent, open, this.homes(bar, parent));
  }

  /** The windows of `parent` that a BAR may lie in, the expected one first. */
  private homes(bar: Bar, parent: MachineFunction | null): readonly WindowKind[] {
    const bridge = parent?.bridge;
    if (!bridge) return [];
    if (bar.type === 'io') return ioOnly;
    if (bridge.prefetchable === 0) return memoryOnly;
    if (bar.prefetchable) return bar.type === 'mem64' ? prefetchableFirst : memoryFirst;
    const excepted = bar.type === 'mem64' && this.machine.allowNonPrefetchableInPrefetchable;
    return excepted ? memoryFirst : memoryOnly;
  }

  private add(item: Item, parent: MachineFunction | null, open: Open | null, homes: readonly WindowKind[]): void {
    if (!open || !parent?.bridge) {
      this.demand.items.push(item);
      return;
    }
    const bridge = parent.bridge;
    if (homes[0] === 'io' && bridge.io === 0) {
      this.demand.homeless.push({ fn: item.fn, subject: item.subject, bridge: parent, window: 'io' });
      return;
    }
    const [first, second] = homes;
    if (first === undefined) return;
    // Where none seems possible the expected one stays, and the search says no.
    if (second === undefined || !isPossible(item, second, bridge)) open[first].push(item);
    else if (!isPossible(item, first, bridge)) open[second].push(item);
    else {
      const choice = new Choice(item, parent, first === 'memory' ? memoryFirst : prefetchableFirst);
      this.demand.choices.push(choice);
      const decided = this.decisions.size > 0 ? this.decisions.get(choice.key) : undefined;
      if (decided !== undefined || !this.drop) open[decided ?? first].push(item);
    }
  }

  private bridge(
    fn: MachineFunction,
    bridge: Bridge,
    order: number,
    parent: MachineFunction | null,
    above: Open | null,
  ): void {
    const open: Open = { io: [], memory: [], prefetchable: [] };
    for (const child of sortedBySlot(bridge.functions)) this.fn(child, fn, open);
    const kinds: readonly WindowKind[] = this.space === 'io' ? ['io'] : ['memory', 'prefetchable'];
    for (const kind of kinds) this.window(fn, bridge, kind, open[kind], order, parent, above);
  }

  private window(
    fn: MachineFunction,
    bridge: Bridge,
    kind: WindowKind,
    items: Item[],
    order: number,
    parent: MachineFunction | null,
    above: Open | null,
  ): void {
    const reserve = bridge.reserve[kind];
    const pin = bridge.pin[kind];
    if (kind !== 'memory' && bridge[kind] === 0) {
      if (reserve > 0n) this.demand.homeless.push({ fn, subject: 'reserve', bridge: fn, window: kind });
      if (pin) this.demand.homeless.push({ fn, subject: kind, bridge: fn, window: kind });
      return;
    }
    if (reserve > 0n) items.push(reserveItem(fn, kind, this.host, order, reserve));
    if (items.length === 0 && !pin) return;
    const granule = granules[kind];
    // A 32-bit prefetchable BAR needs its whole window below 4 GiB, whatever the bridge could decode.
    const low = kind === 'prefetchable' && items.some((item) => item.window === null && item.ceiling === LOW);
    const ceiling = low ? LOW : ceilingOf(bridge, kind);
    const item: Item = {
      fn,
      subject: kind,
      host: this.host,
      order,
      tracks: tracksOf(kind === 'io' ? 'io' : kind === 'memory' ? 'mem32' : 'mem64'),
      window: { kind, granule, ceiling, pin, items },
      size: 0n,
      align: granule,
      ceiling,
      fixed: pin ? { base: pin.base, limit: pin.limit } : hullOf(items, granule),
      at: pin ? pin.base : -1n,
      offset: 0n,
    };
    this.add(item, parent, above, windowHomes(kind, ceiling, parent));
  }
}

/** False where the address or the size of `item` alone rules a window of the bridge out. */
function isPossible(item: Item, home: WindowKind, bridge: Bridge): boolean {
  const { fixed } = item;
  if (home === 'memory' && item.size > FOUR_GIB) return false;
  if (fixed === null) return true;
  const pin = bridge.pin[home];
  if (pin && (fixed.base < pin.base || fixed.limit > pin.limit)) return false;
  return fixed.limit <= ceilingOf(bridge, home);
}

/** The smallest possible window around what cannot move. */
function hullOf(items: readonly Item[], granule: bigint): Span | null {
  let base: bigint | null = null;
  let limit = -1n;
  for (const { fixed } of items) {
    if (!fixed) continue;
    if (base === null || fixed.base < base) base = fixed.base;
    if (fixed.limit > limit) limit = fixed.limit;
  }
  return base === null ? null : { base: base & -granule, limit: ((limit + granule) & -granule) - 1n };
}

function tracksOf(type: BarType): readonly BarType[] {
  return type === 'mem64' ? wideTracks : narrowTracks[type];
}

function ceilingOf(bridge: Bridge, kind: WindowKind): bigint {
  if (kind === 'io') return bridge.io === 16 ? 0xffffn : LOW;
  return kind === 'prefetchable' && bridge.prefetchable === 64 ? HIGH : LOW;
}

/** The windows of the parent that a child's window may lie in, the expected one first. */
function windowHomes(kind: WindowKind, ceiling: bigint, parent: MachineFunction | null): readonly WindowKind[] {
  if (kind !== 'prefetchable') return kind === 'io' ? ioOnly : memoryOnly;
  const above = parent?.bridge?.prefetchable;
  if (above === undefined || above === 0) return memoryOnly;
  // A window that has to stay below 4 GiB would drag a 64-bit parent's down with it.
  return above === 64 && ceiling === LOW ? memoryFirst : prefetchableFirst;
}

function reserveItem(fn: MachineFunction, kind: WindowKind, host: number, order: number, size: bigint): Item {
  const tracks = tracksOf(kind === 'io' ? 'io' : 'mem64');
  return {
    fn,
    subject: 'reserve',
    host,
    order,
    tracks,
    window: null,
    size,
    align: 1n,
    ceiling: HIGH,
    fixed: null,
    at: -1n,
    offset: 0n,
  };
}
