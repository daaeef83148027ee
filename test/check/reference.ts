import { AddressRange } from '../../src/address/range.js';
import type { BarType, Bridge, HostBridge, HostWindow, Machine, MachineFunction } from '../../src/machine/model.js';
import { Random } from './random.js';

/*
 * Small machines of unknown status, and a slow and obvious answer to whether they have a plan: every address of every
 * resource is tried. All sizes are multiples of 1 MiB, so nothing is lost by trying multiples of it only.
 */

const MiB = 0x10_0000n;
const FOUR_GIB = 1n << 32n;

type Kind = 'memory' | 'prefetchable';

interface Leaf {
  readonly size: bigint;
  readonly align: bigint;
  readonly pin: bigint | undefined;
  readonly path: readonly MachineFunction[];
  readonly host: number;
  readonly homes: readonly Kind[];
  readonly wide: boolean;
  readonly low: boolean;
  at: bigint;
  home: Kind;
}

interface Piece {
  readonly base: bigint;
  readonly end: bigint;
}

/** Whether the machine's memory resources have a valid layout. */
export function hasLayout(machine: Machine): boolean {
  const leaves: Leaf[] = [];
  machine.hostBridges.forEach((host, i) => {
    const walk = (list: readonly MachineFunction[], path: readonly MachineFunction[]) => {
      const above = path.at(-1)?.bridge;
      for (const fn of list) {
        for (const bar of fn.bars) {
          const both =
            above &&
            above.prefetchable > 0 &&
            (bar.prefetchable || (bar.type === 'mem64' && machine.allowNonPrefetchableInPrefetchable));
          leaves.push({
            size: bar.size,
            align: bar.size,
            pin: bar.pin,
            path,
            host: i,
            homes: both ? ['memory', 'prefetchable'] : ['memory'],
            wide: bar.type === 'mem64',
            low: bar.type === 'mem32',
            at: 0n,
            home: 'memory',
          });
        }
        if (!fn.bridge) continue;
        const inside = [...path, fn];
        const { memory } = fn.bridge.reserve;
        if (memory > 0n)
          leaves.push({
            size: memory,
            align: MiB,
            pin: undefined,
            path: inside,
            host: i,
            homes: ['memory'],
            wide: false,
            low: false,
            at: 0n,
            home: 'memory',
          });
        walk(fn.bridge.functions, inside);
      }
    };
    walk(host.functions, []);
  });
  leaves.sort((a, b) => Number(b.pin !== undefined) - Number(a.pin !== undefined) || (a.size > b.size ? -1 : 1));
  return tryAll(machine, leaves, 0);
}

function tryAll(machine: Machine, leaves: readonly Leaf[], i: number): boolean {
  const leaf = leaves[i];
  if (!leaf) return windowsWork(machine, leaves);
  for (const { type, base, size } of machine.hostBridges[leaf.host]!.windows) {
    if (leaf.path.length === 0 && type === 'mem64' && !leaf.wide) continue;
    for (
      let at = ((base + leaf.align - 1n) / leaf.align) * leaf.align;
      at + leaf.size <= base + size;
      at += leaf.align
    ) {
      if (leaf.pin !== undefined && leaf.pin !== at) continue;
      if (leaves.slice(0, i).some((other) => at < other.at + other.size && other.at < at + leaf.size)) continue;
      leaf.at = at;
      for (const home of leaf.homes) {
        leaf.home = home;
        if (tryAll(machine, leaves, i + 1)) return true;
        if (leaf.path.length === 0) break;
      }
    }
  }
  return false;
}

/** Tries where prefetchable windows go, innermost bridges first. */
function windowsWork(machine: Machine, leaves: readonly Leaf[]): boolean {
  const bridges: { fn: MachineFunction; parent: MachineFunction | null; host: number }[] = [];
  machine.hostBridges.forEach((host, i) => {
    const walk = (list: readonly MachineFunction[], parent: MachineFunction | null) => {
      for (const fn of list) {
        if (!fn.bridge) continue;
        walk(fn.bridge.functions, fn);
        bridges.push({ fn, parent, host: i });
      }
    };
    walk(host.functions, null);
  });
  const buses = new Map<MachineFunction | number, Record<Kind, Piece[]>>();
  const bus = (key: MachineFunction | number) => {
    let own = buses.get(key);
    if (!own) buses.set(key, (own = { memory: [], prefetchable: [] }));
    return own;
  };
  for (const leaf of leaves) {
    bus(leaf.path.at(-1) ?? leaf.host)[leaf.path.length === 0 ? 'memory' : leaf.home].push({
      base: leaf.at,
      end: leaf.at + leaf.size,
    });
  }
  const rootPieces: { host: number; piece: Piece; low: boolean }[] = leaves
    .filter((leaf) => leaf.path.length === 0)
    .map((leaf) => ({ host: leaf.host, piece: { base: leaf.at, end: leaf.at + leaf.size }, low: !leaf.wide }));
  const step = (i: number): boolean => {
    const one = bridges[i];
    if (!one) return rootsWork(machine, rootPieces);
    const bridge = one.fn.bridge!;
    const inside = bus(one.fn);
    if (overlap([...inside.memory, ...inside.prefetchable])) return false;
    const memory = windowOf(bridge, 'memory', inside.memory);
    const pref = windowOf(bridge, 'prefetchable', inside.prefetchable);
    if (memory === 'bad' || pref === 'bad') return false;
    const needsLow = leaves.some((leaf) => leaf.path.at(-1) === one.fn && leaf.home === 'prefetchable' && leaf.low);
    if (pref && needsLow && pref.end > FOUR_GIB) return false;
    const put = (piece: Piece | null, kind: Kind, low: boolean): (() => void) => {
      if (!piece) return () => undefined;
      if (one.parent) {
        const list = bus(one.parent)[kind];
        list.push(piece);
        return () => void list.pop();
      }
      rootPieces.push({ host: one.host, piece, low });
      return () => void rootPieces.pop();
    };
    const undo = put(memory, 'memory', true);
    const above = one.parent?.bridge;
    const homes: Kind[] = above && above.prefetchable > 0 ? ['prefetchable', 'memory'] : ['memory'];
    for (const kind of homes) {
      const undoPref = put(pref, kind, false);
      const good = step(i + 1);
      undoPref();
      if (good) return true;
      if (!pref) break;
    }
    undo();
    return false;
  };
  return step(0);
}

function windowOf(bridge: Bridge, kind: Kind, inside: readonly Piece[]): Piece | null | 'bad' {
  const pin = bridge.pin[kind];
  if (!pin && inside.length === 0) return null;
  if (kind === 'prefetchable' && bridge.prefetchable === 0) return 'bad';
  const base = inside.reduce((low, piece) => (piece.base < low ? piece.base : low), pin?.base ?? 1n << 65n);
  const end = inside.reduce((high, piece) => (piece.end > high ? piece.end : high), pin ? pin.limit + 1n : 0n);
  if (pin && (base !== pin.base || end !== pin.limit + 1n)) return 'bad';
  if ((kind === 'memory' || bridge.prefetchable === 32) && end > FOUR_GIB) return 'bad';
  return base % MiB !== 0n || end % MiB !== 0n ? 'bad' : { base, end };
}

const overlap = (list: readonly Piece[]) =>
  list.some((a, i) => list.slice(0, i).some((b) => a.base < b.end && b.base < a.end));

function rootsWork(machine: Machine, roots: readonly { host: number; piece: Piece; low: boolean }[]): boolean {
  // All windows here are seen by the CPU at their bus addresses, so pieces of different host bridges may not meet either.
  if (overlap(roots.map(({ piece }) => piece))) return false;
  const blocked = [...machine.ram, ...machine.reserved.map(({ range }) => range)];
  return roots.every(({ host, piece, low }) => {
    if (blocked.some((range) => piece.base <= range.limit && range.base < piece.end)) return false;
    return machine.hostBridges[host]!.windows.some(
      ({ type, base, size }) =>
        (type === 'mem32' || (type === 'mem64' && !low)) && base <= piece.base && piece.end <= base + size,
    );
  });
}

/** A machine with few resources and little room; it may or may not have a plan. */
export function smallMachine(seed: number): Machine {
  const random = new Random(seed);
  const slots = (low: number, high: number) => BigInt(random.int(low, high)) * MiB;
  const lowBase = 0x1000_0000n + slots(0, 3);
  const lowSize = slots(2, 9);
  const highBase = 0x80_0000_0000n + slots(0, 3);
  const highSize = slots(0, 6);
  const window = (type: BarType, base: bigint, size: bigint): HostWindow => ({ type, base, size, cpuBase: base });
  // A 64-bit window below 4 GiB, too: over a part of the 32-bit one, apart from it, or in its stead.
  const below = random.pick([null, null, null, 'over', 'apart', 'instead'] as const);
  const windows = [
    window(below === 'instead' ? 'mem64' : 'mem32', lowBase, lowSize),
    ...(highSize > 0n ? [window('mem64', highBase, highSize)] : []),
    ...(below === 'over' ? [window('mem64', lowBase - MiB, lowSize)] : []),
    ...(below === 'apart' ? [window('mem64', lowBase + lowSize + slots(0, 1), slots(1, 4))] : []),
  ];
  let left = random.int(2, 5);
  let bridges = random.int(0, 3);
  let count = 0;
  const somewhere = (align: bigint) => {
    const high = highSize > 0n && random.chance(0.4);
    const at = (high ? highBase : lowBase) + slots(0, Number((high ? highSize : lowSize) / MiB));
    return random.chance(0.9) ? (at / align) * align : at;
  };
  const functions = (depth: number): MachineFunction[] => {
    const list: MachineFunction[] = [];
    const many = random.int(1, 3);
    for (let slot = 0; slot < many && (left > 0 || list.length === 0); slot++) {
      const id = `f${count++}`;
      const bars = [];
      for (let index = 0; index < 4 && left > 0 && random.chance(0.6); index += 2) {
        left--;
        const type = random.pick(['mem32', 'mem64', 'mem64'] as const);
        const size = MiB << BigInt(random.pick([0, 0, 1, 1, 2]));
        const pin = random.chance(0.3) ? { pin: somewhere(size) } : {};
        bars.push({ index, type, prefetchable: random.chance(0.6), size, ...pin });
      }
      if (bridges === 0 || depth === 2) {
        list.push({ id, slot: { device: slot, fn: 0 }, bars });
        continue;
      }
      bridges--;
      const from = lowBase + slots(0, 4);
      const memory = random.chance(0.1) ? { memory: AddressRange.sized(from, slots(1, 4)) } : {};
      const prefetchable = random.pick([0, 32, 64, 64] as const);
      const high =
        highSize > 0n && random.chance(0.1)
          ? { prefetchable: AddressRange.sized(highBase + slots(0, 2), slots(1, 3)) }
          : {};
      list.push({
        id,
        slot: { device: slot, fn: 0 },
        bars: bars.slice(0, 1),
        bridge: {
          kind: 'root-port',
          io: 0,
          prefetchable,
          hotplug: 'none',
          reserve: { buses: 0, io: 0n, memory: random.chance(0.1) ? slots(1, 2) : 0n, prefetchable: 0n },
          pin: { ...memory, ...high },
          functions: functions(depth + 1),
        },
      });
    }
    return list;
  };
  const host: HostBridge = { id: 'pcie.0', segment: 0, buses: [0, 255], windows, functions: functions(0) };
  // Windows of two host bridges that are the same, or overlap in part.
  const away = slots(-2, 2);
  const moved = windows.map(({ type, base, size }) => window(type, base + away, size));
  const second: HostBridge[] = random.chance(0.2)
    ? [{ ...host, id: 'pcie.1', segment: 1, windows: moved, functions: functions(1) }]
    : [];
  return {
    arch: 'aarch64',
    board: 'none',
    ram: [],
    physicalAddressBits: undefined,
    properties: {},
    allowNonPrefetchableInPrefetchable: random.chance(0.2),
    reserved: random.chance(0.3) ? [{ range: AddressRange.sized(lowBase + slots(0, 6), MiB), reason: 'test' }] : [],
    hostBridges: [host, ...second],
  };
}

/**
 * The same with its windows elsewhere for the CPU, in any order, close to each other or apart; what has a layout here has one
 * there. Null where windows overlap, or host bridges share addresses: there the CPU's view says more than the bus's.
 */
export function seenElsewhere(machine: Machine, seed: number): Machine | null {
  const [host, ...others] = machine.hostBridges;
  if (!host || others.length > 0 || machine.reserved.length > 0) return null;
  const clash = host.windows.some((a, i) =>
    host.windows.slice(0, i).some((b) => a.base < b.base + b.size && b.base < a.base + a.size),
  );
  if (clash) return null;
  const random = new Random(seed);
  const cpuBases = new Map<HostWindow, bigint>();
  let cursor = 0x40_0000_0000n + BigInt(random.int(0, 7)) * MiB;
  for (const window of random.shuffle(host.windows)) {
    cpuBases.set(window, cursor);
    cursor += window.size + BigInt(random.int(0, 3)) * MiB;
  }
  const windows = host.windows.map((window) => ({ ...window, cpuBase: cpuBases.get(window)! }));
  return { ...machine, hostBridges: [{ ...host, windows }] };
}
