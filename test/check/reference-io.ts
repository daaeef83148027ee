import { AddressRange } from '../../src/address/range.js';
import type { Machine, MachineFunction } from '../../src/machine/model.js';
import { noReserve } from '../../src/machine/model.js';
import { Random } from './random.js';

/*
 * Ports: small machines whose window lies about the end of what 16 bits can say, and whether they have a layout, by trying every
 * port of every BAR. All sizes are multiples of 4 KiB, so nothing is lost by trying multiples of it only.
 */

const STEP = 0x1000n;

/** What lies on one bus, in one piece each. */
interface Piece {
  readonly base: bigint;
  readonly end: bigint;
}

/** Whether the ports of the machine's only host bridge have a valid layout. */
export function hasPorts(machine: Machine): boolean {
  const host = machine.hostBridges[0]!;
  const bars: { readonly size: bigint; readonly pin: bigint | undefined; at: bigint }[] = [];
  const places = new Map<MachineFunction, (typeof bars)[number][]>();
  const walk = (list: readonly MachineFunction[]) => {
    for (const fn of list) {
      const own = fn.bars.map(({ size, pin }) => ({ size, pin, at: 0n }));
      places.set(fn, own);
      bars.push(...own);
      if (fn.bridge) walk(fn.bridge.functions);
    }
  };
  walk(host.functions);
  const works = (): boolean => {
    const bus = (list: readonly MachineFunction[]): Piece[] | null => {
      const pieces: Piece[] = [];
      for (const fn of list) {
        for (const { at, size } of places.get(fn)!) pieces.push({ base: at, end: at + size });
        if (!fn.bridge) continue;
        const inside = bus(fn.bridge.functions);
        if (!inside) return null;
        const pin = fn.bridge.pin.io;
        if (inside.length === 0 && !pin) continue;
        if (fn.bridge.io === 0) return null;
        const base = inside.reduce((low, piece) => (piece.base < low ? piece.base : low), pin?.base ?? 1n << 40n);
        const end = inside.reduce((high, piece) => (piece.end > high ? piece.end : high), pin ? pin.limit + 1n : 0n);
        if (pin && (base !== pin.base || end !== pin.limit + 1n)) return null;
        if (end > 1n << BigInt(fn.bridge.io)) return null;
        pieces.push({ base, end });
      }
      const clash = pieces.some((a, i) => pieces.slice(0, i).some((b) => a.base < b.end && b.base < a.end));
      return clash ? null : pieces;
    };
    const roots = bus(host.functions);
    return (
      roots?.every((one) => host.windows.some(({ base, size }) => base <= one.base && one.end <= base + size)) ?? false
    );
  };
  const tryAll = (i: number): boolean => {
    const bar = bars[i];
    if (!bar) return works();
    for (const { base, size } of host.windows) {
      for (let at = ((base + bar.size - 1n) / bar.size) * bar.size; at + bar.size <= base + size; at += bar.size) {
        if (bar.pin !== undefined && bar.pin !== at) continue;
        if (bars.slice(0, i).some((other) => at < other.at + other.size && other.at < at + bar.size)) continue;
        bar.at = at;
        if (tryAll(i + 1)) return true;
      }
    }
    return false;
  };
  return tryAll(0);
}

/** A machine of ports, with or without a layout. */
export function smallPorts(seed: number): Machine {
  const random = new Random(seed);
  const steps = (low: number, high: number) => BigInt(random.int(low, high)) * STEP;
  const first = 0x8000n + steps(0, 6);
  const size = steps(3, 10);
  const second = first + size + steps(0, 2);
  const windows = [
    { type: 'io' as const, base: first, size, cpuBase: first },
    ...(random.chance(0.3) ? [{ type: 'io' as const, base: second, size: steps(1, 5), cpuBase: second }] : []),
  ];
  let left = random.int(2, 5);
  let bridges = random.int(0, 3);
  let count = 0;
  const functions = (depth: number): MachineFunction[] => {
    const list: MachineFunction[] = [];
    const many = random.int(1, 3);
    for (let device = 0; device < many && (left > 0 || list.length === 0); device++) {
      const id = `f${count++}`;
      const bars = [];
      for (let index = 0; index < 3 && left > 0 && random.chance(0.6); index++) {
        left--;
        const own = STEP << BigInt(random.pick([0, 0, 1, 1, 2]));
        const pin = random.chance(0.3) ? { pin: ((first + steps(0, 12)) / own) * own } : {};
        bars.push({ index, type: 'io' as const, prefetchable: false, size: own, ...pin });
      }
      if (bridges === 0 || depth === 2) {
        list.push({ id, slot: { device, fn: 0 }, bars });
        continue;
      }
      bridges--;
      const pin = random.chance(0.1) ? { io: AddressRange.sized(first + steps(0, 6), steps(1, 4)) } : {};
      const io = random.pick([0, 16, 16, 32, 32, 32] as const);
      const bridge = { kind: 'root-port', io, prefetchable: 64, hotplug: 'none', reserve: noReserve, pin } as const;
      list.push({
        id,
        slot: { device, fn: 0 },
        bars: bars.slice(0, 2),
        bridge: { ...bridge, functions: functions(depth + 1) },
      });
    }
    return list;
  };
  return {
    arch: 'x86_64',
    board: 'none',
    ram: [],
    physicalAddressBits: undefined,
    properties: {},
    allowNonPrefetchableInPrefetchable: false,
    reserved: [],
    hostBridges: [{ id: 'pcie.0', segment: 0, buses: [0, 255], windows, functions: functions(0) }],
  };
}
