import { alignUp } from '../../address/align.js';
import { MiB, type CpuAddress } from '../../address/kinds.js';
import type { Registers } from '../state.js';
import { IO, MEM, MEM64, PREFETCH, TYPE, type Resource } from './resource.js';
import type { LinuxRules } from './rules.js';
import { seemsToHaveIo, windowsOf, type Bus, type Device, type Root } from './tree.js';

/** Addresses that firmware gave and that could not be kept: the last resort where nothing else is found. */
export type FirmwareAddresses = Map<Resource, CpuAddress>;

/**
 * Keeps what firmware did, as far as it fits together: bridge windows from the root down, then BARs, then ROMs
 * (arch/x86/pci/i386.c, pcibios_resource_survey). What does not is placed anew later; `lost` gets where it was.
 */
export function survey(
  roots: readonly Root[],
  left: (device: Device) => Registers | undefined,
  rules: LinuxRules,
  lost: FirmwareAddresses,
): void {
  for (const { bus } of roots) readBars(bus, left);
  for (const { bus } of roots) readWindows(bus, left, rules);
  for (const { bus } of roots) claimWindows(bus);
  for (const { bus } of roots) claimBars(bus, lost);
  for (const { bus } of roots) claimRoms(bus);
}

/** CPU address of a register's bus address: windows of the same kind say how far apart they are. */
function toCpu(bus: Bus, kinds: number, address: bigint): CpuAddress {
  let root = bus;
  while (root.parent) root = root.parent;
  const window = root.windows.find(
    (one) => ((one.kinds ^ kinds) & TYPE) === 0 && one.start - one.shift <= address && address <= one.end - one.shift,
  );
  return address + (window?.shift ?? 0n);
}

/** What the BARs of a bus and of all behind it hold. It is not claimed yet. */
export function readBars(bus: Bus, left: (device: Device) => Registers | undefined): void {
  for (const device of bus.devices) {
    const registers = left(device);
    for (const res of device.resources) {
      const address = registers?.bars.get(res.subject);
      if (res.isWindow || address === undefined) continue;
      res.setRange(toCpu(bus, res.kinds, address), res.size);
    }
    if (device.secondary) readBars(device.secondary, left);
  }
}

function readWindows(bus: Bus, left: (device: Device) => Registers | undefined, rules: LinuxRules): void {
  for (const device of bus.devices) {
    const registers = left(device);
    if (!device.secondary) continue;
    const { io, memory, prefetchable } = windowsOf(device.secondary);
    const wide = device.fn.bridge?.prefetchable === 64 ? MEM64 : 0;
    const has = { io: seemsToHaveIo(device.fn), prefetchable: device.fn.bridge?.prefetchable !== 0 };
    readWindow(bus, io, has.io ? IO : 0, registers?.bridge?.io, rules);
    readWindow(bus, memory, MEM, registers?.bridge?.memory, rules);
    readWindow(bus, prefetchable, has.prefetchable ? MEM | PREFETCH | wide : 0, registers?.bridge?.prefetchable, rules);
    readWindows(device.secondary, left, rules);
  }
}

function readWindow(
  bus: Bus,
  window: Resource,
  kinds: number,
  range: { readonly base: bigint; readonly size: bigint } | null | undefined,
  rules: LinuxRules,
): void {
  if (range) {
    window.kinds = kinds;
    window.setRange(toCpu(bus, kinds, range.base), range.size);
  } else if (rules.rounds === 'optional') {
    window.kinds = kinds;
    window.unset = window.disabled = kinds !== 0;
  }
}

/** Enters a resource where it says that it lies. False: no window there, or something else. */
export function claim(res: Resource): boolean {
  const parent = res.owner?.bus.windows.find(
    (window) => !window.unset && ((window.kinds ^ res.kinds) & TYPE) === 0 && window.contains(res),
  );
  if (!parent || res.unset || ((parent.kinds & PREFETCH) !== 0 && (res.kinds & PREFETCH) === 0)) return false;
  if (res.conflictIn(parent)) return false;
  res.claim(parent);
  return true;
}

function claimWindows(bus: Bus): void {
  if (bus.bridge) {
    for (const window of bus.windows) {
      if (window.kinds === 0) continue;
      if (window.start !== 0n && (claim(window) || (clip(window) && claim(window)))) continue;
      window.setRange(0n, 1n);
      window.kinds = 0;
      window.unset = window.disabled = false;
    }
  }
  for (const { secondary } of bus.devices) if (secondary) claimWindows(secondary);
}

/** Cuts a window down to the part that a window above it covers. False: none does, or it fits already. */
function clip(window: Resource): boolean {
  for (const above of window.owner?.bus.windows ?? []) {
    if (((above.kinds ^ window.kinds) & TYPE) !== 0 || above.start > window.end || window.start > above.end) continue;
    if (above.contains(window)) return false;
    if (window.start < above.start) window.start = above.start;
    if (window.end > above.end) window.end = above.end;
    return true;
  }
  return false;
}

function claimBars(bus: Bus, lost: FirmwareAddresses): void {
  for (const device of bus.devices) {
    for (const res of device.resources) {
      if (res.isWindow || res.subject === 'rom' || res.start === 0n || claim(res)) continue;
      lost.set(res, res.start);
      res.setRange(0n, res.size);
    }
    if (device.secondary) claimBars(device.secondary, lost);
  }
}

function claimRoms(bus: Bus): void {
  for (const device of bus.devices) {
    for (const res of device.resources) {
      if (res.subject === 'rom' && res.start !== 0n && !claim(res)) res.setRange(0n, res.size);
    }
    if (device.secondary) claimRoms(device.secondary);
  }
}

/** Puts a resource where firmware had it, if nothing else is there by now (pci_revert_fw_address). */
export function revert(lost: FirmwareAddresses, res: Resource): boolean {
  const address = lost.get(res);
  if (address === undefined) return false;
  const { start, size } = res;
  res.setRange(address, size);
  if (claim(res)) return true;
  res.setRange(start, size);
  return false;
}

/** Ports that cards with ten address lines would answer on are left out, memory below 1 MiB as well. */
export const adjustX86 = (at: CpuAddress, io: boolean): CpuAddress => {
  if (io) return (at & 0x300n) === 0n ? at : alignUp(at, 0x400n);
  return at < MiB ? MiB : at;
};
