import type { Resource } from './resource.js';
import { IO, MEM, PREFETCH } from './resource.js';
import { assign, grow } from './assign.js';
import { Extras, restore, save, type Saved } from './extras.js';
import type { LinuxRules } from './rules.js';
import { isLeftAlone, type Bus } from './tree.js';

/**
 * Gives addresses to a bus's functions and then to what lies behind its bridges (__pci_bus_assign_resources).
 * @param failed gets what found no room, newest last
 */
export function assignBus(bus: Bus, extras: Extras | null, failed: Saved[], rules: LinuxRules): void {
  const wanted = sorted(bus);
  if (rules.rounds === 'optional') assignWithOptional(wanted, extras ?? new Extras(), failed, rules);
  else assignRequiredFirst(wanted, extras, failed, rules);
  for (const { secondary } of bus.devices) if (secondary) assignBus(secondary, extras, failed, rules);
}

/** What a bus's functions want, largest alignment first, else in order of function and register. */
function sorted(bus: Bus): Resource[] {
  const wanted: Resource[] = [];
  for (const device of bus.devices) {
    if (isLeftAlone(device)) continue;
    for (const res of device.resources) {
      if (res.kinds !== 0 && !res.parent && !res.disabled && res.alignment > 0n) wanted.push(res);
    }
  }
  return wanted.sort((a, b) => (a.alignment < b.alignment ? 1 : a.alignment > b.alignment ? -1 : 0));
}

/** Every wanted resource grows by what is wished for; where that takes a larger alignment, it moves forward in the list. */
function addExtras(wanted: Resource[], extras: Extras): void {
  for (let res = wanted[0]; res;) {
    const next: Resource | undefined = wanted[wanted.indexOf(res) + 1];
    const extra = extras.get(res);
    if (extra) {
      res.end += extra.size;
      if (res.alignedByStart && extra.align > res.start) {
        res.setRange(extra.align, res.size);
        const before = wanted.find(({ alignment }) => extra.align > alignment);
        if (before) {
          wanted.splice(wanted.indexOf(res), 1);
          wanted.splice(wanted.indexOf(before), 0, res);
        }
      }
    }
    res = next;
  }
}

const typeOf = (failures: readonly Saved[]): number =>
  failures.reduce((mask, { kinds }) => mask | kinds, 0) & (IO | MEM | PREFETCH);

/** Whether an assigned resource stands in the way of what failed: prefetchable ones in a memory window count as memory. */
function isInTheWay(failed: number, { kinds, parent }: Resource): boolean {
  if ((kinds & IO) !== 0) return (failed & IO) !== 0;
  if ((kinds & PREFETCH) === 0) return (failed & MEM) !== 0;
  if ((failed & PREFETCH) !== 0) return true;
  return (failed & MEM) !== 0 && ((parent?.kinds ?? 0) & PREFETCH) === 0;
}

/** Drops from the list what keeps its place although something failed. */
function keepOutsiders(wanted: Resource[], failures: readonly Saved[], extras: Extras): Resource[] {
  const failed = typeOf(failures);
  return wanted.filter((res) => {
    if (!res.parent || isInTheWay(failed, res)) return true;
    extras.delete(res);
    return false;
  });
}

/** As if it had never asked. */
function reset(res: Resource): void {
  res.setRange(0n, 1n);
  res.kinds = 0;
  res.alignedByStart = false;
}

/** Linux up to 6.15: all with its extras; where something fails, all without, then the extras one by one. */
function assignRequiredFirst(all: Resource[], extras: Extras | null, failed: Saved[], rules: LinuxRules): void {
  let wanted = all;
  if (extras && !extras.isEmpty) {
    const saved = new Map(wanted.map((res) => [res, save(res)]));
    addExtras(wanted, extras);
    const failures: Saved[] = [];
    assignAll(wanted, failures, rules);
    if (failures.length === 0) {
      for (const res of wanted) extras.delete(res);
      return;
    }
    wanted = keepOutsiders(wanted, failures, extras);
    for (const res of wanted) if (res.parent) res.release();
    for (const res of wanted) restore(saved.get(res) ?? save(res));
  }
  assignAll(wanted, failed, rules);
  if (!extras) return;
  const own = new Set(wanted);
  for (const [res, { size, align }] of extras.newestFirst()) {
    if (res.kinds !== 0 && !own.has(res)) continue;
    extras.delete(res);
    if (res.kinds === 0) continue;
    if (res.size === 0n) {
      res.setRange(align, size);
      if (!assign(res, rules)) reset(res);
    } else {
      if (res.isWindow) res.alignedByStart = true;
      grow(res, size, align, rules);
    }
  }
}

/** Assigns what has a size. What fails is noted (a ROM is not: the kernel does without) and reset. */
function assignAll(wanted: readonly Resource[], failures: Saved[], rules: LinuxRules): void {
  for (const res of wanted) {
    if (res.size === 0n || assign(res, rules)) continue;
    if (res.subject !== 'rom') failures.push(save(res));
    reset(res);
  }
}

/** VF BARs, ROMs, and windows that nothing has to have (pci_resource_is_optional). */
const isOptional = (res: Resource): boolean =>
  res.subject === 'rom' ||
  (typeof res.subject === 'string' && res.subject.startsWith('vf')) ||
  (res.isWindow && res.size === 0n);

/** Linux 7: the same, but what is optional is asked for together with the rest, and kept where only that failed. */
function assignWithOptional(all: Resource[], extras: Extras, failed: Saved[], rules: LinuxRules): void {
  const asked = all.map(save);
  const saved: Saved[] = extras.isEmpty ? [] : [...asked];
  let wanted = all;
  if (!extras.isEmpty) addExtras(wanted, extras);
  const failures: Saved[] = [];
  assignPresent(wanted, failures, true, rules);
  const required = failures.some(({ res }) => !isOptional(res));
  if (failures.length === 0) {
    for (const res of wanted) extras.delete(res);
  } else if (!required && extras.isEmpty) {
    for (const old of saved) if (!old.res.parent) restore(old);
  } else {
    wanted = keepOutsiders(wanted, failures, extras);
    const own = new Set(wanted);
    for (const { res } of asked) if (own.has(res)) release(res);
    for (const old of [...asked, ...saved]) if (own.has(old.res)) restore(old);
    assignPresent(wanted, null, false, rules);
    for (const [res, { size, align }] of extras.newestFirst()) {
      if (!own.has(res)) continue;
      extras.delete(res);
      if (!res.parent && res.size > 0n && !isOptional(res)) continue;
      if (!res.parent) {
        res.setRange(align, res.size + size);
        assign(res, rules);
      } else if (size > 0n || (align > 0n && res.start % align !== 0n)) {
        if (res.isWindow) res.alignedByStart = true;
        grow(res, size, align, rules);
      }
    }
  }
  for (const res of wanted) {
    if (res.parent) continue;
    failed.push(save(res));
    if (res.isWindow) res.unset = true;
    else reset(res);
  }
}

/** Gives the place back; size stays (pci_release_resource). */
function release(res: Resource): void {
  if (!res.parent) return;
  res.release();
  res.setRange(0n, res.size);
  res.unset = true;
}

function assignPresent(
  wanted: readonly Resource[],
  failures: Saved[] | null,
  optional: boolean,
  rules: LinuxRules,
): void {
  for (const res of wanted) {
    if (res.size === 0n || (!optional && isOptional(res))) continue;
    if (!assign(res, rules)) failures?.push(save(res));
  }
}
