import { alignUp, maxOf } from '../../address/align.js';
import { MiB, type Size } from '../../address/kinds.js';
import type { Extras } from './extras.js';
import { IO, KIND, MEM, MEM64, PREFETCH, findSpace, type Resource } from './resource.js';
import { hotplugExtra, type LinuxRules } from './rules.js';
import { isHotplug, isLeftAlone, openWindows, windowsOf, type Bus, type Windows } from './tree.js';

const TOP = (1n << 64n) - 1n;
/** Alignments are counted by power of two from 1 MiB up. */
const MIB_BITS = 20;
/** Larger alignments than these make Linux give a BAR up: 8 TiB up to 6.15, 128 TiB later. */
const ORDERS = { 'required-first': 24, optional: 28 };

/**
 * Says of every bridge window below `bus` how large it has to be and how aligned, from the leaves up. What is only wished
 * for (hotplug, VFs) goes to `extras`, or counts as needed where there is none. drivers/pci/setup-bus.c,
 * __pci_bus_size_bridges.
 */
export function sizeWindows(bus: Bus, extras: Extras | null, rules: LinuxRules): void {
  for (const { secondary } of bus.devices) if (secondary) sizeWindows(secondary, extras, rules);
  if (!bus.bridge) return;
  openWindows(bus);
  const { io, memory, prefetchable } = windowsOf(bus);
  const extra = isHotplug(bus.bridge) ? hotplugExtra : { io: 0n, memory: 0n, prefetchable: 0n };
  sizeIo(bus, io, extra.io, extras, rules);
  const windows = { io, memory, prefetchable };
  const hasPrefetchable = (prefetchable.kinds & PREFETCH) !== 0;
  if (hasPrefetchable) sizeMemory(bus, windows, 'prefetchable', extra.prefetchable, extras, rules);
  const rest = extra.memory + (hasPrefetchable || rules.rounds === 'optional' ? 0n : extra.prefetchable);
  sizeMemory(bus, windows, 'memory', rest, extras, rules);
}

/**
 * Where a bridge takes a memory resource: 64-bit prefetchable ones to a 64-bit prefetchable window, every prefetchable one
 * to a 32-bit prefetchable window, all others to the memory window.
 */
export function windowFor(kinds: number, { io, memory, prefetchable }: Windows): Resource | null {
  if ((kinds & IO) !== 0) return (io.kinds & IO) !== 0 ? io : null;
  if ((kinds & MEM) === 0) return null;
  const usable = (prefetchable.kinds & MEM) !== 0 && (kinds & PREFETCH) !== 0;
  if (usable && ((kinds & MEM64) !== 0 || (prefetchable.kinds & MEM64) === 0)) return prefetchable;
  return (memory.kinds & MEM) !== 0 ? memory : null;
}

/** A window that nothing needs is closed. */
function close(window: Resource, rules: LinuxRules): void {
  if (rules.rounds === 'optional') window.disabled = true;
  else window.kinds = 0;
}

/** What a released window had, which it keeps at least (1 says that it had none). Linux 7 does not keep it for memory. */
const oldSize = ({ size }: Resource): Size => (size === 1n ? 0n : size);

function sizeIo(bus: Bus, window: Resource, extra: Size, extras: Extras | null, rules: LinuxRules): void {
  if ((window.kinds & IO) === 0 || window.parent) return;
  let align = rules.windowStep(IO);
  let [small, large, behind] = [0n, 0n, 0n];
  for (const device of bus.devices) {
    for (const res of device.resources) {
      if (res.parent || (res.kinds & IO) === 0 || res.disabled) continue;
      if (res.size < 0x400n) small += res.size;
      else large += res.size;
      align = maxOf(align, res.alignment);
      behind += extras?.get(res)?.size ?? 0n;
    }
  }
  const total = (wish: Size, more: Size, big: Size): Size =>
    alignUp(maxOf(maxOf(small + big, wish) + more, oldSize(window)), align);
  const needed = alignUp(maxOf(maxOf(small, extras ? 0n : extra) + large, oldSize(window)), align);
  // Linux 7 counts what is needed twice where something is wished for: once as large BARs.
  const wished =
    !extras || (extra === 0n && behind === 0n)
      ? needed
      : total(extra, behind, rules.rounds === 'optional' ? needed : large);
  finish(window, { needed, wished, align, wishedAlign: align }, extras, rules);
}

/** What a window must have, and what it would like to have. */
interface Sizes {
  readonly needed: Size;
  readonly wished: Size;
  readonly align: Size;
  readonly wishedAlign: Size;
}

function finish(window: Resource, sizes: Sizes, extras: Extras | null, rules: LinuxRules): void {
  const { needed, wished, align, wishedAlign } = sizes;
  if (needed > 0n) window.disabled = false;
  if (needed === 0n && wished === 0n) {
    close(window, rules);
    return;
  }
  window.setRange(align, needed);
  window.alignedByStart = true;
  const more = wished > needed ? wished - needed : 0n;
  const aligned = rules.rounds === 'optional' && (window.kinds & MEM) !== 0 && wishedAlign > align;
  if (!extras || (more === 0n && !aligned)) return;
  window.disabled = false;
  extras.add(window, more, wishedAlign);
}

function sizeMemory(
  bus: Bus,
  windows: Windows,
  name: 'memory' | 'prefetchable',
  extra: Size,
  extras: Extras | null,
  rules: LinuxRules,
): void {
  const window = windows[name];
  if (window.parent || (window.kinds & MEM) === 0) return;
  const counted = countMemory(bus, windows, window, extras, rules);
  const { size, behind, maxOrder, aligns } = counted;
  const step = rules.windowStep(MEM);
  if (rules.rounds === 'optional') {
    const align = maxOf(headAlign(aligns, maxOrder), step);
    const needed = alignUp(maxOf(size, extras ? 0n : extra), step);
    const wishes = extras !== null && (extra > 0n || behind > 0n);
    const wished = wishes ? alignUp(maxOf(size, extra) + behind, step) : 0n;
    const wishedAlign = wishes ? maxOf(align, counted.wishedAlign) : counted.wishedAlign;
    finish(window, { needed, wished, align, wishedAlign }, extras, rules);
    return;
  }
  let align = maxOf(evenAlign(aligns, maxOrder), step);
  const sum = (more: Size, to: Size): Size =>
    alignUp(maxOf(maxOf(size, extras ? 0n : extra) + more, oldSize(window)), to);
  let needed = sum(0n, align);
  const wishedAlign = maxOf(align, counted.wishedAlign);
  if (rules.checksUpstream && needed > 0n && !upstreamHasRoom(bus, window.kinds, needed, wishedAlign)) {
    align = maxOf(1n << BigInt(maxOrder + MIB_BITS), step);
    needed = sum(0n, step);
  }
  const wished =
    !extras || (extra === 0n && behind === 0n)
      ? needed
      : alignUp(maxOf(maxOf(size, extra) + behind, oldSize(window)), wishedAlign);
  finish(window, { needed, wished, align, wishedAlign }, extras, rules);
}

interface Counted {
  readonly size: Size;
  /** Wished for by what lies behind. */
  readonly behind: Size;
  readonly wishedAlign: Size;
  /** Largest alignment, as a power of two above 1 MiB. */
  readonly maxOrder: number;
  /** Bytes by alignment; what is larger than its alignment is left out. */
  readonly aligns: readonly Size[];
}

/** Adds up what goes into a window. VF BARs (in Linux 7 ROMs as well) are only wished for, where there is a list for that. */
function countMemory(bus: Bus, windows: Windows, window: Resource, extras: Extras | null, rules: LinuxRules): Counted {
  const optional = rules.rounds === 'optional';
  const aligns: Size[] = [0n];
  let [size, behind, wishedAlign, maxOrder] = [0n, 0n, 0n, 0];
  for (const device of bus.devices) {
    if (optional && isLeftAlone(device)) continue;
    for (const res of device.resources) {
      if (res.parent || res.disabled || windowFor(res.kinds & KIND, windows) !== window) continue;
      const align = res.alignment;
      const isVf = typeof res.subject === 'string' && res.subject.startsWith('vf');
      if (!optional && isVf && extras) {
        wishedAlign = maxOf(wishedAlign, align);
        behind += res.size;
        extras.add(res, res.size, 0n);
        res.end = res.start - 1n;
        continue;
      }
      const order = orderOf(align);
      if (order >= ORDERS[rules.rounds]) {
        res.kinds = 0;
        continue;
      }
      const extra = extras?.get(res);
      if (optional && extras) {
        if (extra && res.isWindow) {
          behind += extra.size;
          wishedAlign = maxOf(wishedAlign, extra.align);
        }
        if (isVf || res.subject === 'rom' || (res.isWindow && res.size === 0n)) {
          if (!res.isWindow || !extra) extras.add(res, 0n, align);
          behind += res.size;
          wishedAlign = maxOf(wishedAlign, align);
          continue;
        }
      }
      size += maxOf(res.size, align);
      while (aligns.length <= order) aligns.push(0n);
      if (res.size <= align) aligns[order] = (aligns[order] ?? 0n) + align;
      maxOrder = Math.max(maxOrder, order);
      if (!optional && extra) {
        behind += extra.size;
        wishedAlign = maxOf(wishedAlign, extra.align);
      }
    }
  }
  return { size, behind, wishedAlign, maxOrder, aligns };
}

/** The power of two of an alignment, above 1 MiB. */
function orderOf(align: Size): number {
  let order = 0;
  for (let bits = align >> BigInt(MIB_BITS + 1); bits > 0n; bits >>= 1n) order++;
  return order;
}

/**
 * Up to 6.15: half the largest alignment where what is smaller fills the rest of it, and so on downwards
 * (calculate_mem_align).
 */
function evenAlign(aligns: readonly Size[], maxOrder: number): Size {
  let [below, align] = [0n, 0n];
  for (let order = 0; order <= maxOrder; order++) {
    const own = MiB << BigInt(order);
    if (below === 0n) align = own;
    else if (alignUp(below + align, align) < own) align = own >> 1n;
    below += aligns[order] ?? 0n;
  }
  return align;
}

/** Later: as long as smaller resources fill the room in front of the largest one (calculate_head_align). */
function headAlign(aligns: readonly Size[], maxOrder: number): Size {
  let align = MiB << BigInt(maxOrder);
  let fill = 0n;
  for (let order = maxOrder - 1; order >= 0; order--) {
    fill += aligns[order] ?? 0n;
    while (align > MiB << BigInt(order) && fill >= align / 2n) {
      align /= 2n;
      fill -= align;
    }
  }
  return align;
}

/** Whether the nearest assigned window above has a gap for it; true where none is assigned yet. */
function upstreamHasRoom(bus: Bus, kinds: number, size: Size, align: Size): boolean {
  for (let above = bus.parent; above?.bridge; above = above.parent) {
    for (const window of above.windows) {
      if (!window.parent || (window.kinds & KIND) !== (kinds & KIND)) continue;
      return window.size >= size && findSpace(window, { size, align, min: 0n, max: TOP }, null) !== undefined;
    }
  }
  return true;
}
