import { formatQemuSize, hex } from '../address/format.js';
import { FOUR_GIB, GiB, MiB } from '../address/kinds.js';
import type { Arch, HostBridge, HostWindow, Machine } from '../machine/model.js';
import type { BoardMap } from '../machine/boards/board.js';
import { findBoard } from '../machine/boards/boards.js';
import { formatRelease, isSince, type QemuRelease } from '../machine/boards/release.js';
import { areOfBoard, boardMapOf, impliedWindows, withBoardMemory } from '../machine/implied.js';
import type { Attempt, Candidate } from './candidate.js';
import { firstOf, leastOf } from './candidate.js';
import { withHost } from './changes.js';
import type { Core } from './conflict.js';

/**
 * The most physical address bits of a CPU: Intel SDM volume 3A §4.1.4, Arm ARM D8.1 (LPA2), RISC-V privileged ISA §10.3 to
 * §10.5 (44-bit page numbers).
 */
export const mostBits: Readonly<Record<Arch, number>> = { x86_64: 52, aarch64: 52, riscv64: 56 };

/** Options of the board that move its map, where the machine has that map and no other. */
export function* boardRemedies(machine: Machine, core: Core): Iterable<Attempt> {
  if (core.field === 'io') return;
  if (core.field === 'memory') yield firstOf(withOvmf(machine));
  const now = boardMapOf(machine);
  if (!now) return;
  const known = findBoard(machine.board, machine.arch)?.properties ?? [];
  for (const option of ['highmem', 'highmem-mmio', 'highmem-ecam'])
    if (known.some(({ name }) => name === option)) yield firstOf(switchedOn(machine, now, option));
  const size = known.find(({ name }) => name === 'highmem-mmio-size');
  if (size) yield firstOf(largerHighMmio(machine, now, size.since));
  if (known.some(({ name }) => name === 'max-ram-below-4g')) {
    yield firstOf(largerLow(machine, now));
    yield leastOf([...largerHigh(machine, now)]);
  }
}

type Properties = Machine['properties'];

/** The machine on a board with other properties; null where its windows and bus numbers are not the board's. */
function onBoard(machine: Machine, now: BoardMap, properties: Properties): Machine | null {
  const then = boardMapOf(machine, { properties });
  const host = machine.hostBridges.find(({ id }) => id === now.hostBridge.id) ?? machine.hostBridges[0];
  if (!then || !host || !areOfBoard(host.windows, now)) return null;
  const sameBuses = host.buses[0] === now.hostBridge.buses[0] && host.buses[1] === now.hostBridge.buses[1];
  const windows = withBoardMemory(host.windows, then);
  const buses = sameBuses ? then.hostBridge.buses : host.buses;
  return { ...withHost(machine, host.id, (one): HostBridge => ({ ...one, windows, buses })), properties };
}

/** QEMU `virt`: without these there is no 64-bit window, or no ECAM for more than 16 buses. */
function* switchedOn(machine: Machine, now: BoardMap, option: string): Iterable<Candidate> {
  if (machine.properties[option] === undefined) return;
  const properties = Object.fromEntries(Object.entries(machine.properties).filter(([key]) => key !== option));
  const changed = onBoard(machine, now, properties);
  if (changed) yield { change: `leave the machine property ${option} on, which is its default`, machine: changed };
}

/** A power of two, and the window lies at a multiple of it; QEMU knows the option since a release. */
function* largerHighMmio(machine: Machine, now: BoardMap, since: QemuRelease | undefined): Iterable<Candidate> {
  const known = !since || isSince(machine.qemu, since);
  const newer: Machine = known ? machine : { ...machine, qemu: since };
  const release = since ? formatRelease(since) : '';
  const how =
    known && machine.qemu
      ? ''
      : ` (QEMU ${release} or later${machine.qemu ? `, not ${formatRelease(machine.qemu)}` : ''})`;
  const old = impliedWindows(now).find(({ type }) => type === 'mem64');
  if (!old) return;
  const bits = machine.physicalAddressBits;
  const most = 1n << BigInt(mostBits[machine.arch] - 1);
  for (let size = old.size * 2n; size <= most; size *= 2n) {
    // The window ends where its size times two does, at the least.
    const needed = (2n * size - 1n).toString(2).length;
    const isBeyond = bits !== undefined && needed > bits;
    if (isBeyond && now.hostBridge.beyondAddressBits?.length) return;
    const on = isBeyond ? { ...newer, physicalAddressBits: needed } : newer;
    const changed = onBoard(on, now, { ...machine.properties, 'highmem-mmio-size': hex(size) });
    const high = changed?.hostBridges
      .flatMap(({ windows }) => windows)
      .find((window) => window.type === 'mem64' && window.size === size);
    if (!changed || !high) return;
    const range = `${hex(high.base)}-${hex(high.base + high.size - 1n)}`;
    const cpu = isBeyond ? `, and use a CPU with ${needed} physical address bits instead of ${bits}` : '';
    const change = `set the machine property highmem-mmio-size=${formatQemuSize(size)}${how}${cpu}: the 64-bit window is then ${range}`;
    yield { change, machine: changed };
  }
}

/** A PC's 32-bit window begins where its RAM below 4 GiB ends. */
function* largerLow(machine: Machine, now: BoardMap): Iterable<Candidate> {
  const low = (map: BoardMap) => map.hostBridge.windows.find(({ type }) => type === 'mem32')?.base ?? 0n;
  for (let below = 2n * GiB; below >= 256n * MiB; below /= 2n) {
    const properties = { ...machine.properties, 'max-ram-below-4g': hex(below) };
    const map = boardMapOf(machine, { properties });
    const changed = map && low(map) < low(now) ? onBoard(machine, now, properties) : null;
    if (!map || !changed || machine.ram.some((range, i) => !now.ram[i]?.equals(range))) continue;
    yield {
      change: `set the machine property max-ram-below-4g=${formatQemuSize(below)}: the 32-bit window then begins at ${hex(low(map))}`,
      machine: { ...changed, ram: map.ram },
    };
  }
}

/** A PC's 64-bit window ends where the CPU's addresses do. */
function* largerHigh(machine: Machine, now: BoardMap): Iterable<Candidate> {
  const bits = machine.physicalAddressBits;
  if (bits === undefined) return;
  for (let more = bits + 1; more <= mostBits[machine.arch]; more++) {
    const wider = { ...machine, physicalAddressBits: more };
    const changed = onBoard(wider, now, machine.properties);
    if (!changed) return;
    const change = `use a CPU with ${more} physical address bits instead of ${bits} (-cpu MODEL,phys-bits=${more}): the 64-bit window then ends at ${hex((1n << BigInt(more)) - 1n)}`;
    yield { change, machine: changed };
  }
}

/** Whether the board says how many buses there are. */
export const hasBoardsBuses = (machine: Machine, host: HostBridge): boolean =>
  boardMapOf(machine)?.hostBridge.buses[1] === host.buses[1];

/** Whether the board says what the windows of a host bridge are. */
export function isBoardsOwn(machine: Machine, host: HostBridge): boolean {
  const own = boardMapOf(machine);
  return own !== null && areOfBoard(host.windows, own);
}

/** PlatformGetFirstNonAddress (OvmfPkg/Library/PlatformInitLib/MemDetect.c): more is ignored. */
const MOST_OVMF = 1n << 44n;

/**
 * The 64-bit window that OVMF opens on q35 where it is told to: a quarter of the address space. What is smaller may count for
 * nothing: OVMF 2022.11 takes the last eighth by itself, 2025.02 the last quarter. The window lies at a multiple of its size.
 */
function* withOvmf(machine: Machine): Iterable<Candidate> {
  const [host] = machine.hostBridges;
  const { board, physicalAddressBits: bits } = machine;
  if (board !== 'q35' || bits === undefined || !host || isBoardsOwn(machine, host)) return;
  const size = 1n << BigInt(bits - 2);
  const window: HostWindow = { type: 'mem64', base: size, size, cpuBase: size };
  const memory = boardMapOf(machine)?.hostBridge.windows.find(({ type }) => type === 'mem64');
  if (size < FOUR_GIB || size > MOST_OVMF || !memory || memory.base > size) return;
  const kept = host.windows.filter(({ type, base }) => type !== 'mem64' || base < FOUR_GIB);
  yield {
    change: `with OVMF, start QEMU with -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=${size / MiB}: the 64-bit window is then ${hex(size)}-${hex(2n * size - 1n)}`,
    machine: withHost(machine, host.id, (one) => ({ ...one, windows: [...kept, window] })),
  };
}
