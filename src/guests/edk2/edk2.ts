import { alignUp, isPowerOfTwo, maxOf } from '../../address/align.js';
import { MiB, type BusAddress, type Size } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import type { HostBridge, Machine, MachineFunction } from '../../machine/model.js';
import { deviceFunction } from '../../pci/bdf.js';
import { hintsOf } from '../hints.js';
import { numberBuses } from '../seabios/bus-numbers.js';
import type { Handover, Registers } from '../state.js';
import { emptyWindows, insert, kinds, layOut, leaf, merge, type Kind, type Node, type Windows } from './nodes.js';

/** Where EDK2's host bridge driver lets BARs lie on a board. All root bridges share it. */
export interface Edk2Board {
  readonly io: AddressRange | null;
  readonly memory: AddressRange;
  /** Above 4 GiB. */
  readonly high: AddressRange | null;
  /** More than 32 GiB of it: 1/256 is kept at every hotplug port for prefetchable BARs. */
  readonly highHotplug: Size;
  /** Up to 2023: 512 ports are kept at every hotplug port; later none. */
  readonly keepsPorts: boolean;
  /**
   * 64-bit BARs of functions with an expansion ROM go below 4 GiB (PcdPciDegradeResourceForOptionRom, on unless a board says
   * otherwise: ArmVirt switches it off, OVMF marks all BARs as fixed).
   */
  readonly degradesRoms: boolean;
}

/**
 * What EDK2's PciBusDxe does with a machine: one window of each kind per root bridge, laid out as a whole; where that finds
 * no room, the largest device is given up and all is tried again; where no device may be given up, nothing is placed.
 */
export function edk2(machine: Machine, board: Edk2Board): Handover {
  const buses = numberBuses(machine);
  if (!buses) return { status: 'stopped', reason: 'it runs out of bus numbers' };
  const attempt = new Enumeration(machine, board);
  const addresses = attempt.run();
  const registers = new Map<MachineFunction, Registers>();
  for (const { number, functions } of buses) {
    for (const fn of functions) {
      const behind = buses.find(({ bridge }) => bridge === fn);
      const own = addresses.get(fn);
      registers.set(fn, {
        bus: number,
        bars: attempt.rejected.has(fn) ? allOnes(fn) : (own?.bars ?? new Map<number | string, BusAddress>()),
        givenUp: attempt.rejected.has(fn),
        reasons: (bar) => attempt.reasonOf(fn, bar),
        ...(behind
          ? {
              bridge: {
                secondary: behind.number,
                subordinate: behind.subordinate,
                io: own?.io ?? null,
                memory: own?.memory ?? null,
                prefetchable: own?.prefetchable ?? null,
              },
            }
          : {}),
      });
    }
  }
  return { status: 'done', registers };
}

interface Programmed {
  readonly bars: Map<number | string, BusAddress>;
  io?: AddressRange;
  memory?: AddressRange;
  prefetchable?: AddressRange;
}

/** What the registers of a function read that was given up: ones were written to all of its BARs. */
const allOnes = ({ bars }: MachineFunction): ReadonlyMap<number | string, BusAddress> =>
  new Map(bars.map(({ index, type, size }) => [index, BigInt.asUintN(type === 'mem64' ? 64 : 32, -size)]));

/** VF BARs are aligned to this page size at least. */
const PAGE = 0x1000n;

class Enumeration {
  /** Given up for want of room. */
  readonly rejected = new Set<MachineFunction>();
  /** Bridges that no longer keep room for hotplug. */
  readonly #bare = new Set<MachineFunction>();
  readonly #programmed = new Map<MachineFunction, Programmed>();
  readonly #onBus0 = new Set<MachineFunction>();
  readonly #hosts: readonly HostBridge[];

  constructor(
    machine: Machine,
    private readonly board: Edk2Board,
  ) {
    this.#hosts = machine.hostBridges.toSorted((a, b) => a.buses[0] - b.buses[0]);
    for (const { buses, functions } of this.#hosts)
      if (buses[0] === 0) for (const fn of functions) this.#onBus0.add(fn);
  }

  run(): ReadonlyMap<MachineFunction, Programmed> {
    for (;;) {
      const roots = this.#hosts.map((host) => this.#rootWindows(host));
      if (roots.some(({ mem32 }) => mem32.length >= 1n << 32n)) return this.#programmed;
      const { bases, failed } = this.#allocate(roots);
      if (failed.size === 0) {
        roots.forEach((root, i) => {
          for (const kind of kinds) {
            const base = bases[i]?.[kind];
            if (base !== undefined) this.#program(root[kind], base);
          }
        });
        return this.#programmed;
      }
      if (!this.#giveUp(roots, failed)) return this.#programmed;
    }
  }

  reasonOf(fn: MachineFunction, bar: number | string): string {
    if (this.rejected.has(fn)) return 'was rejected due to resource confliction';
    if (bar === 'rom') return 'EDK2 copies ROMs to RAM and leaves the register without an address';
    if (hasStrangeBar(fn)) return 'EDK2 reads a reserved BAR type';
    return 'Out Of Resource!';
  }

  #rootWindows(host: HostBridge): Windows {
    const windows = emptyWindows(null);
    // One range for all ROMs, in which each is copied to RAM in turn.
    const rom = largestRom(host.functions);
    if (rom > 0n) insert(windows.mem32, leaf(null, 'rom', 'mem32', rom, rom));
    this.#collect(null, host.functions, windows);
    return windows;
  }

  /** Adds what a bus's functions want to the windows of the bridge above. */
  #collect(bridge: MachineFunction | null, functions: readonly MachineFunction[], windows: Windows): void {
    const inOrder = functions.toSorted((a, b) => deviceFunction(a.slot) - deviceFunction(b.slot));
    for (const fn of inOrder) {
      if (this.rejected.has(fn)) continue;
      for (const node of registersOf(fn)) insert(windows[node.kind], node);
      if (!fn.bridge) continue;
      const own = emptyWindows(fn);
      this.#collect(fn, fn.bridge.functions, own);
      for (const kind of kinds)
        if (own[kind].children.length > 0 || own[kind].length > 0n) insert(windows[kind], own[kind]);
    }
    if (bridge && !this.#bare.has(bridge))
      for (const node of paddingOf(bridge, this.board)) insert(windows[node.kind], node);
    if (this.board.degradesRoms) for (const fn of inOrder) if (fn.rom) belowFourGib(fn, windows);
    degrade(bridge, windows, this.board.high !== null);
    for (const kind of kinds) layOut(windows[kind]);
  }

  /** First fit in the board's ranges, root bridge by root bridge, the kind with the largest alignment first. */
  #allocate(roots: readonly Windows[]) {
    const { io, memory, high } = this.board;
    const taken: AddressRange[] = [];
    const takenPorts: AddressRange[] = [];
    const failed = new Set<Kind>();
    const bases = roots.map((root) => {
      const found: Partial<Record<Kind, BusAddress>> = {};
      const wanted = kinds.filter((kind) => root[kind].children.length > 0 || root[kind].length > 0n);
      wanted.sort((a, b) => Number(root[b].align - root[a].align) || kinds.indexOf(b) - kinds.indexOf(a));
      for (const kind of wanted) {
        const { length, align } = root[kind];
        const base =
          kind === 'io'
            ? firstFit(io, length, align, 15, takenPorts)
            : ((kind === 'mem64' || kind === 'pmem64' ? firstFit(high, length, align, 63, taken) : undefined) ??
              firstFit(memory, length, align, 31, taken));
        if (base === undefined) {
          failed.add(kind);
          continue;
        }
        failed.delete(kind);
        found[kind] = base;
        if (length > 0n) (kind === 'io' ? takenPorts : taken).push(AddressRange.sized(base, length));
      }
      return found;
    });
    return { bases, failed };
  }

  /** Gives up the largest device of each kind that found no room. False: there is none that may be given up. */
  #giveUp(roots: readonly Windows[], failed: ReadonlySet<Kind>): boolean {
    const gone = new Set<MachineFunction>();
    for (const kind of kinds) {
      if (!failed.has(kind)) continue;
      const pool = roots
        .map((root) => root[kind])
        .reduce<Node>(
          (list, node) => {
            insert(list, node);
            return list;
          },
          leaf(null, 'window', kind, 0n, 1n),
        );
      const largest = this.#largest(pool);
      if (!largest?.fn || gone.has(largest.fn)) continue;
      if (largest.what === 'padding') this.#bare.add(largest.fn);
      else this.rejected.add(largest.fn);
      gone.add(largest.fn);
    }
    return gone.size > 0;
  }

  /** The largest register or hotplug room that may go: no function on bus 0, no VGA controller. The last of equal ones. */
  #largest(window: Node): Node | undefined {
    let best: Node | undefined;
    for (const node of window.children) {
      const { fn } = node;
      const isBridge = fn === null || fn.bridge !== undefined;
      if (!isBridge && (this.#onBus0.has(fn) || (fn.class ?? 0) >> 8 === 0x0300)) continue;
      const candidate = isBridge && node.what !== 'padding' ? this.#largest(node) : node;
      if (candidate && !(best && best.length > candidate.length)) best = candidate;
    }
    return best;
  }

  #program(window: Node, base: BusAddress): void {
    for (const node of window.children) {
      const { fn, what } = node;
      if (!fn || what === 'padding') continue;
      const address = base + node.offset;
      const own = this.#programmed.get(fn) ?? { bars: new Map<number | string, BusAddress>() };
      this.#programmed.set(fn, own);
      if (what !== 'window') {
        own.bars.set(what, address);
        continue;
      }
      this.#program(node, address);
      if (node.length === 0n) continue;
      const range = AddressRange.sized(address, node.length);
      if (node.kind === 'io') own.io = widened(range, 0x1000n);
      else if (node.kind === 'mem32') own.memory = widened(range, MiB);
      else own.prefetchable = widened(range, MiB);
    }
  }
}

/** What a window's registers can say of a range. */
const widened = ({ base, limit }: AddressRange, step: Size): AddressRange =>
  AddressRange.of(base & -step, (limit & -step) + step - 1n);

/**
 * QEMU's pvpanic-pci asks for two bytes: sized with ones its BAR reads as a type that is reserved, and EDK2 leaves it. The
 * same register reads as 16 bytes of memory to who masks the type bits first.
 */
const hasStrangeBar = ({ vendor, device }: MachineFunction): boolean => vendor === 0x1b36 && device === 0x0011;

/** Rooms of one device's registers: memory BARs are aligned to a page at least, VF BARs go for the initial VFs. */
function* registersOf(fn: MachineFunction): Generator<Node> {
  if (hasStrangeBar(fn)) return;
  for (const { index, type, prefetchable, size } of fn.bars) {
    if (type === 'io') yield leaf(fn, index, 'io', size, size);
    else yield leaf(fn, index, kindOf(type, prefetchable), size, maxOf(size, PAGE));
  }
  const { bars = [], totalVfs = 0 } = fn.sriov ?? {};
  for (const { index, type, prefetchable, size } of totalVfs > 0 ? bars : []) {
    if (type !== 'io')
      yield leaf(fn, `vf${index}`, kindOf(type, prefetchable), size * BigInt(totalVfs), maxOf(size, PAGE));
  }
}

const kindOf = (type: 'mem32' | 'mem64', prefetchable: boolean): Kind => `${prefetchable ? 'p' : ''}${type}`;

const largestRom = (functions: readonly MachineFunction[]): Size =>
  functions.reduce(
    (largest, { rom, bridge }) => maxOf(largest, maxOf(rom?.size ?? 0n, bridge ? largestRom(bridge.functions) : 0n)),
    0n,
  );

const GIB32 = 32n << 30n;

const roundUp = (size: Size): Size => {
  let power = 1n;
  while (power < size) power *= 2n;
  return isPowerOfTwo(size) ? size : power;
};

/** What is kept behind a bridge that devices can be added to (OvmfPkg/PciHotPlugInitDxe). QEMU's hints go before defaults. */
function* paddingOf(fn: MachineFunction, { highHotplug, keepsPorts }: Edk2Board): Generator<Node> {
  const { bridge, vendor } = fn;
  if (!bridge || bridge.hotplug === 'none') return;
  const { io, memory, prefetchable, below4G } = hintsOf(bridge);
  const pad = (kind: Kind, size: Size) => leaf(fn, 'padding', kind, roundUp(size), roundUp(size));
  // A port of QEMU's without an I/O window has asked for none.
  const ports = io ?? (bridge.io === 0 && vendor === 0x1b36 ? 0n : keepsPorts ? 512n : 0n);
  if (ports > 0n) yield pad('io', ports);
  const room = memory ?? 2n * MiB;
  if (room > 0n) yield pad('mem32', room);
  if (prefetchable !== undefined && prefetchable > 0n) yield pad(below4G ? 'pmem32' : 'pmem64', prefetchable);
  else if (highHotplug > GIB32) yield pad('pmem64', highHotplug >> 8n);
}

/** Moves what a function asks for above 4 GiB. */
function belowFourGib(fn: MachineFunction, { mem32, pmem32, mem64, pmem64 }: Windows): void {
  for (const [from, to] of [
    [mem64, mem32],
    [pmem64, pmem32],
  ] as const) {
    const moved = from.children.filter((node) => node.fn === fn && node.what !== 'window');
    from.children.splice(0, Infinity, ...from.children.filter((node) => !moved.includes(node)));
    for (const node of moved) insert(to, node);
  }
}

/** What a bridge cannot decode goes to the next best window; a root bridge has one range for both sorts of memory. */
function degrade(bridge: MachineFunction | null, { mem32, pmem32, mem64, pmem64 }: Windows, hasHigh: boolean): void {
  const wide = bridge?.bridge ? bridge.bridge.prefetchable === 64 : hasHigh;
  if (bridge || !hasHigh) merge(mem32, mem64);
  if (!wide) merge(pmem32, pmem64);
  if (bridge && pmem64.children.length > 0) merge(mem32, pmem32);
  if (bridge && !wide) merge(mem32, pmem32);
  if (bridge) return;
  merge(mem32, pmem32);
  merge(mem64, pmem64);
}

/** The lowest free place for `length` bytes, in steps of the alignment. */
function firstFit(
  range: AddressRange | null,
  length: Size,
  align: Size,
  mostBits: number,
  taken: readonly AddressRange[],
): BusAddress | undefined {
  if (!range) return undefined;
  const most = 1n << BigInt(mostBits);
  const step = align < most ? align : most;
  let base = alignUp(alignUp(range.base, align), step);
  if (base >= range.limit) return undefined;
  while (base + length <= range.limit + 1n) {
    const limit = base + maxOf(length, 1n) - 1n;
    const inTheWay = taken.find((other) => other.base <= limit && base <= other.limit);
    if (!inTheWay) return base;
    base = alignUp(inTheWay.limit + 1n, step);
  }
  return undefined;
}
