import { formatQemuSize, hex } from '../address/format.js';
import { GiB } from '../address/kinds.js';
import type { HostBridge, HostWindow, Machine } from '../machine/model.js';
import type { BoardMap } from '../machine/boards/board.js';
import { findBoard } from '../machine/boards/boards.js';
import { formatRelease, isSince, type QemuRelease } from '../machine/boards/release.js';
import { areOfBoard, boardMapOf, impliedWindows, withBoardMemory } from '../machine/implied.js';
import type { Attempt, Candidate } from './candidate.js';
import { firstOf } from './candidate.js';
import { withHost } from './changes.js';
import type { Core } from './conflict.js';

/** Options of the board that move its map, where the machine has that map and no other. */
export function* boardRemedies(machine: Machine, core: Core): Iterable<Attempt> {
  if (core.field === 'io') return;
  const now = boardMapOf(machine);
  if (!now) return;
  const known = findBoard(machine.board, machine.arch)?.properties ?? [];
  for (const option of ['highmem', 'highmem-mmio', 'highmem-ecam'])
    if (known.some(({ name }) => name === option)) yield firstOf(switchedOn(machine, now, option));
  const size = known.find(({ name }) => name === 'highmem-mmio-size');
  if (size) yield firstOf(largerHighMmio(machine, now, size.since));
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
  const most = 1n << BigInt((machine.physicalAddressBits ?? 52) - 1);
  for (let size = old.size * 2n; size <= most; size *= 2n) {
    const changed = onBoard(newer, now, { ...machine.properties, 'highmem-mmio-size': hex(size) });
    const high = changed?.hostBridges
      .flatMap(({ windows }) => windows)
      .find((window) => window.type === 'mem64' && window.size === size);
    if (!changed || !high) return;
    const range = `${hex(high.base)}-${hex(high.base + high.size - 1n)}`;
    const change = `set the machine property highmem-mmio-size=${formatQemuSize(size)}${how}: the 64-bit window is then ${range}`;
    yield { change, machine: changed };
  }
}

/** Whether the board says what the windows of a host bridge are. */
export function isBoardsOwn(machine: Machine, host: HostBridge): boolean {
  const own = boardMapOf(machine);
  return own !== null && areOfBoard(host.windows, own);
}

/** What makes a window of q35 larger, which is up to firmware and QEMU; nothing for other boards. */
export function howOnQ35(machine: Machine, { type, size }: HostWindow): string {
  if (machine.board !== 'q35' || type !== 'mem64') return '';
  const whole = ((size + GiB - 1n) / GiB) * GiB;
  return `; q35: -global q35-pcihost.pci-hole64-size=${formatQemuSize(whole)}, and for OVMF -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=${whole >> 20n}`;
}
