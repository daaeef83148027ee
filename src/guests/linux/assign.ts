import { maxOf, minOf } from '../../address/align.js';
import type { CpuAddress, Size } from '../../address/kinds.js';
import { IO, MEM64, PREFETCH, TYPE, findSpace, type Resource } from './resource.js';
import type { LinuxRules } from './rules.js';
import type { Bus } from './resource.js';

const FOUR_GIB = 1n << 32n;
const TOP = (1n << 64n) - 1n;

/** Bus addresses that a resource may have: what fits in its register, high ones first for 64-bit ones. */
const LOW = [0n, FOUR_GIB - 1n] as const;
const HIGH = [FOUR_GIB, TOP] as const;
const ALL = [0n, TOP] as const;

/**
 * Which windows suit: first those of just this kind, then for 64-bit prefetchable ones a 32-bit prefetchable one, at last
 * any. A resource that is not prefetchable never goes to a prefetchable window. drivers/pci/setup-res.c.
 */
function masksOf({ kinds }: Resource): readonly number[] {
  const both = PREFETCH | MEM64;
  return [both, ...((kinds & both) === both ? [PREFETCH] : []), ...((kinds & both) !== 0 ? [0] : [])];
}

/** Finds room for `size` bytes in the bus's windows and enters the resource there. False: no window has it. */
function allocate(bus: Bus, res: Resource, size: Size, align: Size, rules: LinuxRules): boolean {
  const regions = (res.kinds & MEM64) !== 0 ? [HIGH, ALL] : [LOW];
  const min = (res.kinds & IO) !== 0 ? rules.firstPort : rules.firstMemory;
  for (const mask of masksOf(res)) {
    for (const region of regions) {
      for (const window of bus.windows) {
        if (window.unset || window.disabled) continue;
        if (((res.kinds ^ window.kinds) & (mask | TYPE)) !== 0) continue;
        if ((window.kinds & PREFETCH) !== 0 && (res.kinds & PREFETCH) === 0) continue;
        if (allocateIn(window, res, size, align, min, region, rules)) return true;
      }
    }
  }
  return false;
}

function allocateIn(
  window: Resource,
  res: Resource,
  size: Size,
  align: Size,
  min: CpuAddress,
  [low, high]: readonly [bigint, bigint],
  rules: LinuxRules,
): boolean {
  const first = window.toBus(window.start);
  const shift = window.start - first;
  const start = maxOf(window.start, low + shift);
  const end = minOf(window.end, high + shift);
  if (end < start) return false;
  // A window's own start counts for more than the lowest address that is handed out otherwise.
  const from = start > 0n ? start : min;
  if (end < from || size > end - from + 1n) return false;
  const io = (res.kinds & IO) !== 0;
  const at = findSpace(
    window,
    {
      size,
      align,
      min: from,
      max: end,
      avoid: io ? undefined : rules.avoid,
      adjust: rules.adjust && ((address) => rules.adjust?.(address, size, io) ?? address),
      oddPartBelow: rules.oddPartBelow && !io ? rules.windowStep(res.kinds) : undefined,
    },
    res,
  );
  if (at === undefined) return false;
  return res.parent ? move(window, res, at, size) : enter(window, res, at, size);
}

function enter(window: Resource, res: Resource, at: CpuAddress, size: Size): boolean {
  res.setRange(at, size);
  res.claim(window);
  return true;
}

/** One that is assigned grows in place, or moves if nothing is in it. kernel/resource.c, reallocate_resource. */
function move(window: Resource, res: Resource, at: CpuAddress, size: Size): boolean {
  const end = at + size - 1n;
  const grows = at <= res.start && res.end <= end;
  if (!grows && res.children.length > 0) return false;
  if (grows || (res.start <= at && end <= res.end)) {
    res.setRange(at, size);
    return true;
  }
  res.release();
  return enter(window, res, at, size);
}

/** Gives a resource its address. False: there is no room for it. */
export function assign(res: Resource, rules: LinuxRules): boolean {
  const { owner, alignment } = res;
  if (!owner || alignment === 0n) return false;
  const done = allocate(owner.bus, res, res.size, alignment, rules) || (rules.revert?.(res) ?? false);
  res.unset = !done;
  if (!done) return false;
  res.alignedByStart = false;
  res.disabled = false;
  return true;
}

/** Makes an assigned resource larger by `more`, in place or elsewhere. False: it stays as it was. */
export function grow(res: Resource, more: Size, align: Size, rules: LinuxRules): boolean {
  if (!res.owner || !res.parent) return false;
  if (!allocate(res.owner.bus, res, res.size + more, align, rules)) return false;
  res.alignedByStart = false;
  return true;
}
