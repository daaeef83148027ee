import { FOUR_GIB } from '../address/kinds.js';
import { deviceFunction } from '../pci/bdf.js';
import type { Bar, BarType, Bridge, Machine, MachineFunction } from '../machine/model.js';
import type { Decisions, Homeless, Item, Span, WindowKind } from './item.js';
import { Choice, choiceKey, granules, HIGH, LOW, Shelf } from './item.js';
import type { ConstraintSubject } from './plan.js';

export interface Demand {
  /** What lies on the root buses, host bridge by host bridge, in bus order. */
  readonly items: readonly Item[];
  readonly homeless: readonly Homeless[];
  /** Where a window had to be chosen among two, in bus order; none where they were not asked for. */
  readonly choices: readonly Choice[];
  /** By host bridge: the item of each BAR, ROM and VF BAR group, depth first in slot order. */
  readonly slots: readonly (readonly Item[])[];
  /** Of each bridge. */
  readonly windows: ReadonlyMap<MachineFunction, readonly Item[]>;
  /** Something asks for the other kind of address space, too. */
  readonly isMixed: boolean;
  /** There is hotplug room among it. */
  readonly hasRoom: boolean;
}

export interface DemandOptions {
  readonly decisions?: Decisions;
  /**
   * What is not decided goes where a reader expects it, or, with `drop`, is left out: what has no plan then has none at all.
   */
  readonly undecided?: 'expect' | 'drop';
  /** BARs that are alike are one item, and choices are not noted: what the fast path needs of large machines. */
  readonly joined?: boolean;
  /** Hotplug room lies so that one BAR can have all of it, as far as a BAR's power of two goes. */
  readonly roomy?: boolean;
  /** 64-bit resources of root buses in 64-bit windows only. */
  readonly narrow?: boolean;
}

const ioOnly = ['io'] as const;
const memoryOnly = ['memory'] as const;
const memoryFirst = ['memory', 'prefetchable'] as const;
const prefetchableFirst = ['prefetchable', 'memory'] as const;
const wideTracks = ['mem64', 'mem32'] as const;
const narrowTracks = { io: ['io'], mem32: ['mem32'], mem64: ['mem64'] } as const;

const bySlot = (a: MachineFunction, b: MachineFunction) => deviceFunction(a.slot) - deviceFunction(b.slot);

/** The functions of a bus in slot order, however they were listed. */
export const inSlotOrder = (functions: readonly MachineFunction[]): readonly MachineFunction[] =>
  functions.every((fn, i) => i === 0 || bySlot(functions[i - 1] ?? fn, fn) <= 0)
    ? functions
    : [...functions].sort(bySlot);

/** The bridge above something, and what comes to lie in its windows; a root bus has neither. */
interface Above {
  readonly fn: MachineFunction;
  readonly bridge: Bridge;
  readonly shelves: Readonly<Record<WindowKind, Shelf>>;
}

/** What some host bridges, given by index, need of one kind of address space. */
export function demandOf(
  machine: Machine,
  space: 'io' | 'memory',
  hosts: ReadonlySet<number>,
  options: DemandOptions = {},
): Demand {
  const builder = new Builder(machine, space, options);
  machine.hostBridges.forEach(({ functions }, host) => {
    if (hosts.has(host)) builder.addHost(functions, host);
  });
  return builder;
}

class Builder implements Demand {
  readonly items: Item[] = [];
  readonly homeless: Homeless[] = [];
  readonly choices: Choice[] = [];
  readonly slots: Item[][] = [];
  readonly windows = new Map<MachineFunction, Item[]>();
  isMixed = false;
  hasRoom = false;
  readonly #decisions: Decisions;
  readonly #drop: boolean;
  readonly #joined: boolean;
  readonly #roomy: boolean;
  readonly #tracks: Readonly<Record<BarType, readonly BarType[]>>;
  /** Of the present host bridge. */
  #host = 0;
  #root = new Shelf();
  #slots: Item[] = [];

  constructor(
    private readonly machine: Machine,
    private readonly space: 'io' | 'memory',
    { decisions = new Map(), undecided = 'expect', joined = false, roomy = false, narrow = false }: DemandOptions,
  ) {
    this.#decisions = decisions;
    this.#drop = undecided === 'drop';
    this.#joined = joined;
    this.#roomy = roomy;
    this.#tracks = narrow ? narrowTracks : { ...narrowTracks, mem64: wideTracks };
  }

  addHost(functions: readonly MachineFunction[], host: number): void {
    this.#host = host;
    this.#root = new Shelf();
    this.slots[host] = this.#slots = [];
    for (const fn of inSlotOrder(functions)) this.#function(fn, null);
    this.items.push(...this.#root.items);
  }

  #function(fn: MachineFunction, above: Above | null): void {
    for (const bar of fn.bars) this.#bar(fn, bar, bar.index, bar.size, above);
    if (fn.rom && this.space === 'memory') {
      this.#bar(fn, { index: 0, type: 'mem32', prefetchable: false, ...fn.rom }, 'rom', fn.rom.size, above);
    }
    if (fn.sriov && fn.sriov.totalVfs > 0) {
      const count = BigInt(fn.sriov.totalVfs);
      for (const bar of fn.sriov.bars) this.#bar(fn, bar, `vf${bar.index}`, bar.size * count, above);
    }
    if (fn.bridge) this.#bridge(fn, fn.bridge, above);
  }

  #bar(fn: MachineFunction, bar: Bar, subject: ConstraintSubject, size: bigint, above: Above | null): void {
    const { type, pin, size: align } = bar;
    if ((type === 'io') !== (this.space === 'io')) {
      this.isMixed = true;
      return;
    }
    const fixed = pin === undefined ? null : { base: pin, limit: pin + size - 1n };
    const homes = above ? this.#homes(bar, above.bridge) : ioOnly;
    const shelf = this.#shelf(fn, subject, size, fixed, homes, above);
    if (!shelf) return;
    const ceiling = type === 'mem64' ? HIGH : LOW;
    // In a window all keep below the window's ceiling, which is the lowest of its BARs'; on a root bus the type matters.
    const shape = this.#joined && !fixed && size === align ? shapeOf(size, !above && type === 'mem64') : null;
    const alike = shape === null ? undefined : shelf.alike(shape, size);
    if (alike) {
      alike.count++;
      if (ceiling < alike.ceiling) alike.ceiling = ceiling;
      this.#slots.push(alike);
      return;
    }
    const tracks = this.#tracks[type];
    const item = newItem({ fn, subject, host: this.#host, tracks, window: null, size, align, ceiling, fixed });
    shelf.add(item, shape);
    this.#note(item, homes, above);
    this.#slots.push(item);
  }

  /** The windows of a bridge that a BAR may lie in, the expected one first. */
  #homes(bar: Bar, bridge: Bridge): readonly WindowKind[] {
    if (bar.type === 'io') return ioOnly;
    if (bridge.prefetchable === 0) return memoryOnly;
    if (bar.prefetchable) return bar.type === 'mem64' ? prefetchableFirst : memoryFirst;
    const excepted = bar.type === 'mem64' && this.machine.allowNonPrefetchableInPrefetchable;
    return excepted ? memoryFirst : memoryOnly;
  }

  /** Where something goes that may lie in `homes` of the bridge above it; null where there is no such window. */
  #shelf(
    fn: MachineFunction,
    subject: ConstraintSubject,
    size: bigint,
    fixed: Span | null,
    homes: readonly WindowKind[],
    above: Above | null,
  ): Shelf | null {
    if (!above) return this.#root;
    const { bridge, shelves } = above;
    const [first = 'memory', second] = homes;
    if (first === 'io' && bridge.io === 0) {
      this.homeless.push({ fn, subject, bridge: above.fn, window: 'io' });
      return null;
    }
    // Where none seems possible the expected one stays, and the search says no.
    if (second === undefined || !isPossible(size, fixed, second, bridge)) return shelves[first];
    if (!isPossible(size, fixed, first, bridge)) return shelves[second];
    const decided = this.#decisions.size > 0 ? this.#decisions.get(choiceKey(fn, subject)) : undefined;
    return decided === undefined && this.#drop ? new Shelf() : shelves[decided ?? first];
  }

  #note(item: Item, homes: readonly WindowKind[], above: Above | null): void {
    const [first, second] = homes;
    if (this.#joined || !above || first === undefined || second === undefined) return;
    const { size, fixed } = item;
    if (!isPossible(size, fixed, first, above.bridge) || !isPossible(size, fixed, second, above.bridge)) return;
    this.choices.push(new Choice(item, above.fn, [first, second]));
  }

  #bridge(fn: MachineFunction, bridge: Bridge, above: Above | null): void {
    const shelves = { io: new Shelf(), memory: new Shelf(), prefetchable: new Shelf() };
    const here: Above = { fn, bridge, shelves };
    for (const child of inSlotOrder(bridge.functions)) this.#function(child, here);
    if (this.space === 'memory' && (bridge.pin.io || bridge.reserve.io > 0n)) this.isMixed = true;
    const kinds: readonly WindowKind[] = this.space === 'io' ? ['io'] : ['memory', 'prefetchable'];
    const windows = kinds.flatMap((kind) => this.#window(here, kind, above) ?? []);
    this.windows.set(fn, windows);
  }

  #window({ fn, bridge, shelves }: Above, kind: WindowKind, above: Above | null): Item | null {
    const reserve = bridge.reserve[kind];
    const pin = bridge.pin[kind];
    const shelf = shelves[kind];
    if (kind !== 'memory' && bridge[kind] === 0) {
      if (reserve > 0n) this.homeless.push({ fn, subject: 'reserve', bridge: fn, window: kind });
      if (pin) this.homeless.push({ fn, subject: kind, bridge: fn, window: kind });
      return null;
    }
    const host = this.#host;
    if (reserve > 0n) {
      const tracks = this.#tracks[kind === 'io' ? 'io' : 'mem64'];
      const room = { fn, subject: 'reserve', host, tracks, window: null, fixed: null } as const;
      const align = this.#roomy ? 1n << BigInt(reserve.toString(2).length - 1) : 1n;
      shelf.add(newItem({ ...room, size: reserve, align, ceiling: HIGH }));
      this.hasRoom = true;
    }
    const { items } = shelf;
    if (items.length === 0 && !pin) return null;
    const granule = granules[kind];
    // A 32-bit prefetchable BAR needs its whole window below 4 GiB, whatever the bridge could decode.
    const low = kind === 'prefetchable' && items.some((item) => item.window === null && item.ceiling === LOW);
    const ceiling = low ? LOW : ceilingOf(bridge, kind);
    const tracks = this.#tracks[kind === 'io' ? 'io' : kind === 'memory' ? 'mem32' : 'mem64'];
    const fixed = pin ? { base: pin.base, limit: pin.limit } : hullOf(items, granule);
    const window = { kind, granule, ceiling, pin, items };
    const item = newItem({ fn, subject: kind, host, tracks, window, size: 0n, align: granule, ceiling, fixed });
    const homes = above ? windowHomes(kind, ceiling, above.bridge) : ioOnly;
    this.#shelf(fn, kind, 0n, fixed, homes, above)?.add(item);
    this.#note(item, homes, above);
    return item;
  }
}

/** Never written to. */
const none: never[] = [];

type Fresh = Omit<Item, 'count' | 'places' | 'runs' | 'left'>;

const newItem = ({ fn, subject, host, tracks, window, size, align, ceiling, fixed }: Fresh): Item => {
  return {
    fn,
    subject,
    host,
    tracks,
    window,
    count: 1,
    size,
    align,
    ceiling,
    fixed,
    places: none,
    runs: none,
    left: 1,
  };
};

/** A number for the shape of a BAR: for each size, a power of two, two. */
function shapeOf(size: bigint, wide: boolean): number {
  const number = Number(size);
  const log = number < FOUR_GIB_NUMBER ? 31 - Math.clz32(number) : 63 - Math.clz32(number / FOUR_GIB_NUMBER);
  return 2 * log + Number(wide);
}

const FOUR_GIB_NUMBER = 2 ** 32;

/** False where the address or the size of something alone rules a window of the bridge out. */
function isPossible(size: bigint, fixed: Span | null, home: WindowKind, bridge: Bridge): boolean {
  if (home === 'memory' && size > FOUR_GIB) return false;
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

function ceilingOf(bridge: Bridge, kind: WindowKind): bigint {
  if (kind === 'io') return bridge.io === 16 ? 0xffffn : LOW;
  return kind === 'prefetchable' && bridge.prefetchable === 64 ? HIGH : LOW;
}

/** The windows of the bridge above that a window may lie in, the expected one first. */
function windowHomes(kind: WindowKind, ceiling: bigint, { prefetchable }: Bridge): readonly WindowKind[] {
  if (kind !== 'prefetchable') return kind === 'io' ? ioOnly : memoryOnly;
  if (prefetchable === 0) return memoryOnly;
  // A window that has to stay below 4 GiB would drag a 64-bit parent's down with it.
  return prefetchable === 64 && ceiling === LOW ? memoryFirst : prefetchableFirst;
}
