import { assignBus } from './rounds.js';
import { distribute } from './distribute.js';
import { Extras, restore, type Saved } from './extras.js';
import { IO, MEM64, PREFETCH, type Resource } from './resource.js';
import type { LinuxRules } from './rules.js';
import { sizeWindows, windowFor } from './size.js';
import { busesOf, windowsOf, type Bus } from './tree.js';

/** Whether a second and further try may move bridge windows: `pci=realloc`, or on its own where VF BARs have no address. */
export function triesOf(root: Bus): number {
  const unassigned = [...busesOf(root)].some(({ devices }) =>
    devices.some(({ resources }) =>
      resources.some((res) => typeof res.subject === 'string' && res.subject.startsWith('vf') && hasNoAddress(res)),
    ),
  );
  return unassigned ? depthOf(root) + 1 : 1;
}

const hasNoAddress = (res: Resource): boolean => res.kinds !== 0 && res.toBus(res.start) === 0n;

const depthOf = (bus: Bus): number =>
  bus.devices.reduce((depth, { secondary }) => (secondary ? Math.max(depth, depthOf(secondary) + 1) : depth), 0);

/**
 * Places what is not placed yet below a host bridge (pci_assign_unassigned_root_bus_resources). The last try asks for
 * extras on top of what is needed, earlier ones count them as needed; before each further one the windows that were too small
 * are taken back, at first only those of bridges with no bridge behind them.
 */
export function assignUnassigned(root: Bus, rules: LinuxRules): void {
  const tries = triesOf(root);
  for (let tried = 1; ; tried++) {
    const extras = tried === tries ? new Extras() : null;
    sizeWindows(root, extras, rules);
    distribute(root, extras, rules);
    const failed: Saved[] = [];
    assignBus(root, extras, failed, rules);
    if (failed.length === 0 || tried === tries) return;
    failed.reverse();
    for (const { res, kinds } of failed) {
      const bus = res.owner?.bus;
      if (bus) releaseWindows(bus, kinds, tried + 1 > 2, rules);
    }
    for (const old of failed) {
      restore(old);
      if (old.res.isWindow && rules.rounds === 'required-first') old.res.kinds = 0;
    }
  }
}

/**
 * What kernels before 6.11 do below a host bridge of a device tree (pci_host_probe of drivers/pci/probe.c): one try, in which
 * what is wished for is needed.
 */
export function assignOnce(root: Bus, rules: LinuxRules): void {
  sizeWindows(root, null, rules);
  assignBus(root, null, [], rules);
}

/** Takes back the window that a kind of resource goes to, of a bus and, if `subtree`, of all behind it. */
function releaseWindows(bus: Bus, kinds: number, subtree: boolean, rules: LinuxRules): void {
  if (rules.rounds === 'optional') {
    const window = bus.bridge ? windowFor(kinds, windowsOf(bus)) : rootWindow(bus, kinds);
    if (window) releaseFrom(bus, window, subtree);
    return;
  }
  let isLeaf = true;
  for (const { secondary } of bus.devices) {
    if (!secondary) continue;
    isLeaf = false;
    if (subtree) releaseWindows(secondary, kinds, true, rules);
  }
  if (bus.bridge && (subtree || isLeaf)) releaseClassic(windowToRelease(bus, kinds));
}

/** Linux 7 looks for the root bus's window by kind, with ever fewer demands (pbus_select_window_for_type). */
function rootWindow(bus: Bus, kinds: number): Resource | undefined {
  for (const type of [kinds, kinds & ~MEM64, kinds & ~(MEM64 | PREFETCH)]) {
    const found = bus.windows.find((window) => (window.kinds & type) === type);
    if (found) return found;
  }
  return undefined;
}

function releaseFrom(bus: Bus, window: Resource, subtree: boolean): void {
  let isLeaf = true;
  for (const { secondary } of bus.devices) {
    if (!secondary) continue;
    isLeaf = false;
    if (!subtree) continue;
    for (const behind of secondary.windows) if (behind.parent === window) releaseFrom(secondary, behind, true);
  }
  if (!bus.bridge || !(subtree || isLeaf) || !window.parent) return;
  window.releaseChildren();
  window.release();
  window.setRange(0n, window.size);
  window.unset = true;
}

function windowToRelease(bus: Bus, kinds: number): Resource {
  const { io, memory, prefetchable } = windowsOf(bus);
  if ((kinds & IO) !== 0) return io;
  if ((kinds & PREFETCH) === 0) return memory;
  const is64 = (prefetchable.kinds & MEM64) !== 0;
  if ((kinds & MEM64) !== 0 && is64) return prefetchable;
  return !is64 && (prefetchable.kinds & PREFETCH) !== 0 ? prefetchable : memory;
}

function releaseClassic(window: Resource): void {
  if (!window.parent) return;
  window.releaseChildren();
  window.release();
  window.setRange(0n, window.size);
  window.alignedByStart = false;
}
