import { alignDown, alignUp, maxOf } from '../../address/align.js';
import { GiB, MiB, type BusAddress, type Size } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import type { Machine, MachineFunction } from '../../machine/model.js';
import { hintsOf } from '../hints.js';
import type { Handover, Registers } from '../state.js';
import { numberBuses, type NumberedBus } from './bus-numbers.js';

/** SeaBIOS's three kinds of space (src/fw/pciinit.c): prefetchable memory has one of its own wherever it is. */
const kinds = ['io', 'memory', 'prefetchable'] as const;
type Kind = (typeof kinds)[number];

/** A register, or a whole bridge window, that wants a place on a bus. */
interface Entry {
  readonly fn: MachineFunction;
  /** Absent: the window of the bridge `fn`. */
  readonly bar?: number | 'rom';
  readonly size: Size;
  readonly align: Size;
  readonly is64: boolean;
}

/** What wants a place on a bus: largest alignment first, then largest size, else as found. */
type Wanted = Record<Kind, Entry[]>;

/** SeaBIOS gives memory registers whole pages, and windows behind bridges whole huge pages. */
const PAGE = 0x1000n;
const IO_WINDOW = 0x1000n;
const MEMORY_WINDOW = 2n * MiB;

/** Where it places things on a board. */
export interface SeabiosBoard {
  /** Below 4 GiB; the end is exclusive, the IOAPIC's place. */
  readonly memory: readonly [BusAddress, BusAddress];
  /** Ports from 0x1000 may be used up to here, if those from 0xc000 do not do. */
  readonly portsEnd: bigint;
  /** First address above RAM, and above what the board has reserved there. */
  readonly highStart: BusAddress;
  /** From 1.16.3 on; absent, 64-bit registers move up only in need, and then to just above RAM. */
  readonly high?: HighSpace;
}

/** 1.16.3 and later make use of the CPU's address bits. */
export interface HighSpace {
  /** Where the address space ends, as far as SeaBIOS makes use of it. 64-bit registers lie right below. */
  readonly top: BusAddress;
  /** 64-bit registers move up in any case, and hotplug ports keep 1/2048 of the address space. */
  readonly padded: boolean;
  /** What that does to the alignment of such a window: 1.16.3 replaces it, later ones never lower it. */
  readonly padding: 'replaces' | 'raises';
  /** RAM and what else is taken, by e820. */
  readonly used: readonly AddressRange[];
}

/**
 * What SeaBIOS 1.16 does with a machine. It packs everything upwards in three blocks that end below the IOAPIC, knows no
 * window of any host bridge, and moves the 64-bit registers of root buses above RAM only if the rest is too large.
 */
export function seabios(machine: Machine, board: SeabiosBoard): Handover {
  const buses = numberBuses(machine);
  if (!buses) return { status: 'stopped', reason: 'it runs out of bus numbers' };
  const wanted = new Map<number, Wanted>();
  const of = (bus: NumberedBus): Wanted => {
    // Every root bus shares the first one's space.
    const number = bus.bridge ? bus.number : (buses[0]?.number ?? 0);
    const known = wanted.get(number) ?? { io: [], memory: [], prefetchable: [] };
    wanted.set(number, known);
    return known;
  };
  for (const bus of buses)
    for (const fn of bus.functions) for (const [kind, entry] of registersOf(fn)) insert(of(bus)[kind], entry);
  for (const bus of buses.toReversed()) {
    const { bridge, parent } = bus;
    if (!bridge || !parent) continue;
    for (const kind of kinds) {
      const entry = windowOf(bridge, kind, of(bus)[kind], board.high);
      if (entry) insert(of(parent)[kind], entry);
    }
  }
  const [root] = buses;
  if (!root) return { status: 'done', registers: new Map() };
  const bases = placeRoot(of(root), board);
  if (typeof bases === 'string') return { status: 'stopped', reason: bases };
  return { status: 'done', registers: map(buses, of, bases) };
}

/** What a function's registers ask for. SR-IOV is unknown to SeaBIOS. */
function* registersOf(fn: MachineFunction): Generator<[Kind, Entry]> {
  for (const { index, type, prefetchable, size } of fn.bars) {
    if (fn.bridge && index > 1) continue;
    const room = type === 'io' ? size : maxOf(size, PAGE);
    const kind = type === 'io' ? 'io' : prefetchable ? 'prefetchable' : 'memory';
    yield [kind, { fn, bar: index, size: room, align: room, is64: type === 'mem64' }];
  }
  if (!fn.rom) return;
  const room = maxOf(fn.rom.size, PAGE);
  yield ['memory', { fn, bar: 'rom', size: room, align: room, is64: false }];
}

function insert(list: Entry[], entry: Entry): void {
  const at = list.findIndex(({ align, size }) => align < entry.align || (align === entry.align && size < entry.size));
  if (at < 0) list.push(entry);
  else list.splice(at, 0, entry);
}

const alignOf = (list: readonly Entry[]): Size => list[0]?.align ?? 1n;
const sumOf = (list: readonly Entry[]): Size => list.reduce((sum, { size }) => sum + size, 0n);

/** Vendor and device of QEMU's bridges whose reservation hints SeaBIOS reads: pcie-root-port and pci-bridge. */
const readsHints = ({ vendor, device }: MachineFunction): boolean =>
  vendor === 0x1b36 && (device === 0x000c || device === 0x0001);

/** The window that a bridge asks its bus for; undefined where it has none of the kind. An empty one has size 0. */
function windowOf(
  fn: MachineFunction,
  kind: Kind,
  inside: readonly Entry[],
  high: HighSpace | undefined,
): Entry | undefined {
  const { bridge } = fn;
  if (!bridge || (kind !== 'memory' && bridge[kind] === 0)) return undefined;
  const is64 = kind === 'prefetchable' && bridge.prefetchable === 64 && inside.every((entry) => entry.is64);
  const slot = bridge.kind === 'root-port' || bridge.kind === 'downstream-port';
  const hotplug = slot || bridge.hotplug === 'shpc';
  const own = maxOf(kind === 'io' ? IO_WINDOW : MEMORY_WINDOW, alignOf(inside));
  const padded = hotplug && is64 && high?.padded ? high.top >> 11n : 0n;
  const align = padded > 0n && high?.padding === 'replaces' ? padded : maxOf(own, padded);
  // A port of PCI Express does without I/O, so nothing is kept for that.
  const least = hotplug && !(slot && kind === 'io') ? align : 0n;
  const inSum = sumOf(inside);
  const sum = high ? maxOf(inSum, least) : inSum || least;
  const hint = (readsHints(fn) ? hintsOf(bridge)[kind] : undefined) ?? 0n;
  const size = hint > sum ? (kind === 'io' ? hint : alignUp(hint, align)) : alignUp(sum, align);
  return { fn, size, align, is64 };
}

/** A run of entries from a base upwards. */
interface Block {
  readonly kind: Kind;
  readonly entries: readonly Entry[];
  readonly base: BusAddress;
}

/** Where the blocks of the root buses begin, or why they cannot. */
function placeRoot(root: Wanted, { memory, portsEnd, highStart, high: space }: SeabiosBoard): Block[] | string {
  const ports = sumOf(root.io);
  if (ports >= 0x4000n && ports >= portsEnd - 0x1000n)
    return 'it runs out of I/O ports and halts: "PCI: out of I/O address space"';
  const io: Block = { kind: 'io', entries: root.io, base: ports < 0x4000n ? 0xc000n : 0x1000n };
  const low = space?.padded ? null : below4G(root, memory);
  if (low) return [io, ...low];
  const high = { memory: root.memory.filter(movesUp), prefetchable: root.prefetchable.filter(movesUp) };
  const stays = {
    memory: root.memory.filter((entry) => !movesUp(entry)),
    prefetchable: root.prefetchable.filter((entry) => !movesUp(entry)),
  };
  const rest = below4G(stays, memory);
  if (!rest) return 'it runs out of memory space below 4 GiB and halts: "PCI: out of 32bit address space"';
  const start = space ? belowTop(space, highStart, sumOf(high.memory), sumOf(high.prefetchable)) : highStart;
  const memoryBase = alignUp(alignUp(start, alignOf(high.memory)), GiB);
  const prefetchableBase = alignUp(alignUp(memoryBase + sumOf(high.memory), alignOf(high.prefetchable)), GiB);
  return [
    io,
    { kind: 'memory', entries: high.memory, base: memoryBase },
    { kind: 'prefetchable', entries: high.prefetchable, base: prefetchableBase },
    ...rest,
  ];
}

/** As high as the address space allows; where that is taken, once its own size lower. */
function belowTop({ top, padded, used }: HighSpace, lowest: BusAddress, memory: Size, prefetchable: Size): BusAddress {
  const sum = alignUp(memory, GiB) + alignUp(prefetchable, GiB);
  const size = padded ? alignUp(sum, top >> 3n) : sum;
  const base = maxOf(lowest, top - size);
  return used.some((range) => range.base < base + size && range.limit >= base) ? base - size : base;
}

/** USB controllers stay below 4 GiB, for the BIOS's own drivers. */
const movesUp = ({ is64, fn }: Entry): boolean => is64 && (fn.class ?? 0) >> 8 !== 0x0c03;

/** Both memory blocks packed downwards from the end; the one with the smaller alignment lies on top. */
function below4G(
  root: Pick<Wanted, 'memory' | 'prefetchable'>,
  [start, end]: readonly [bigint, bigint],
): Block[] | null {
  const swapped = alignOf(root.memory) < alignOf(root.prefetchable);
  const [lower, upper] = swapped ? (['prefetchable', 'memory'] as const) : (['memory', 'prefetchable'] as const);
  const upperBase = alignDown(end - sumOf(root[upper]), alignOf(root[upper]));
  const lowerBase = alignDown(upperBase - sumOf(root[lower]), alignOf(root[lower]));
  if (lowerBase < start || lowerBase > end) return null;
  return [
    { kind: lower, entries: root[lower], base: lowerBase },
    { kind: upper, entries: root[upper], base: upperBase },
  ];
}

/** Addresses of all, block by block and bus by bus: each entry follows the one before. */
function map(
  buses: readonly NumberedBus[],
  of: (bus: NumberedBus) => Wanted,
  blocks: readonly Block[],
): Map<MachineFunction, Registers> {
  const bars = new Map<MachineFunction, Map<number | string, BusAddress>>();
  const windows = new Map<MachineFunction, Partial<Record<Kind, readonly [BusAddress, Size]>>>();
  const run = (entries: readonly Entry[], kind: Kind, base: BusAddress) => {
    let next = base;
    for (const { fn, bar, size } of entries) {
      if (bar === undefined) windows.set(fn, { ...windows.get(fn), [kind]: [next, size] });
      else bars.set(fn, (bars.get(fn) ?? new Map<number | string, BusAddress>()).set(bar, next));
      next += size;
    }
  };
  for (const { kind, entries, base } of blocks) run(entries, kind, base);
  const registers = new Map<MachineFunction, Registers>();
  for (const bus of buses) {
    const own = bus.bridge ? windows.get(bus.bridge) : undefined;
    for (const kind of kinds) if (bus.bridge && own?.[kind]) run(of(bus)[kind], kind, own[kind][0]);
  }
  const open = (window: readonly [BusAddress, Size] | undefined): AddressRange | null =>
    window && window[1] > 0n ? AddressRange.sized(...window) : null;
  for (const bus of buses) {
    for (const fn of bus.functions) {
      const behind = buses.find(({ bridge }) => bridge === fn);
      const own = windows.get(fn);
      registers.set(fn, {
        bus: bus.number,
        reasons: (bar) => (bar === 'rom' ? 'SeaBIOS gives it no address' : 'SeaBIOS does not know SR-IOV'),
        bars: afterwards(fn, bars.get(fn) ?? new Map<number | string, BusAddress>()),
        ...(behind
          ? {
              bridge: {
                secondary: behind.number,
                subordinate: behind.subordinate,
                io: open(own?.io),
                memory: open(own?.memory),
                prefetchable: open(own?.prefetchable),
              },
            }
          : {}),
      });
    }
  }
  return registers;
}

/** The SMBus controller of ICH9 is moved to where ACPI's tables say it is, whatever was given to it. */
function afterwards(
  fn: MachineFunction,
  bars: ReadonlyMap<number | string, BusAddress>,
): ReadonlyMap<number | string, BusAddress> {
  return fn.vendor === 0x8086 && fn.device === 0x2930 ? new Map(bars).set(4, 0x700n) : bars;
}
