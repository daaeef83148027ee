import { alignDown, alignUp, minOf } from '../../address/align.js';
import type { Extras } from './extras.js';
import { IO, MEM, MEM64, PREFETCH, type Resource } from './resource.js';
import { hotplugExtra, type LinuxRules } from './rules.js';
import { windowFor } from './size.js';
import { isHotplug, windowsOf, type Bus, type Device, type Windows } from './tree.js';

const names = ['io', 'memory', 'prefetchable'] as const;
type Name = (typeof names)[number];

/** Space that can be shared out, as the kernel keeps it: 64-bit numbers that wrap. */
interface Available {
  start: bigint;
  end: bigint;
}
type AllAvailable = Record<Name, Available>;

const wrap = (value: bigint): bigint => BigInt.asUintN(64, value);
const sizeOf = ({ start, end }: Available): bigint => wrap(end - start + 1n);

const hasWindow = (device: Device): device is Device & { secondary: Bus } => device.secondary !== null;

/**
 * Shares out the space of hotplug bridges below other bridges to what lies behind them, where no firmware has set them up
 * (pci_root_bus_distribute_available_resources).
 */
export function distribute(bus: Bus, extras: Extras | null, rules: LinuxRules): void {
  for (const device of bus.devices.filter(hasWindow)) {
    const untouched = bus.bridge && Object.values(windowsOf(device.secondary)).every(isSizedOrAbsent);
    if (!untouched) distribute(device.secondary, extras, rules);
    else if (isHotplug(device)) shareAll(device, extras, rules);
  }
}

const isSizedOrAbsent = ({ kinds, alignedByStart, disabled, unset }: Resource): boolean =>
  (kinds === 0 && !disabled && !unset) || alignedByStart;

function shareAll({ secondary }: Device & { secondary: Bus }, extras: Extras | null, rules: LinuxRules): void {
  const { io, memory, prefetchable } = windowsOf(secondary);
  const of = ({ start, end }: Resource): Available => ({ start, end });
  share(secondary, { io: of(io), memory: of(memory), prefetchable: of(prefetchable) }, prefetchable, extras, rules);
}

function share(bus: Bus, given: AllAvailable, top: Resource, extras: Extras | null, rules: LinuxRules): void {
  const own = windowsOf(bus);
  const available = { io: { ...given.io }, memory: { ...given.memory }, prefetchable: { ...given.prefetchable } };
  for (const name of names) {
    const window = own[name];
    const space = available[name];
    const { alignment } = window;
    if (!window.parent && alignment > 0n) {
      space.start = minOf(wrap(alignUp(space.start, alignment)), wrap(space.end + 1n));
    }
    adjust(window, name, sizeOf(space), extras, rules);
  }
  const bridges = bus.devices.filter(hasWindow);
  if (bridges.length === 0) return;
  for (const device of bus.devices) for (const res of device.resources) take(res, available, own, top, rules);
  const hotplug = bridges.filter(isHotplug);
  const sharing = hotplug.length > 0 ? hotplug : bridges;
  const each = (name: Name) => sizeOf(available[name]) / BigInt(sharing.length);
  const portion = { io: each('io'), memory: each('memory'), prefetchable: each('prefetchable') };
  for (const { secondary } of sharing) {
    const windows = windowsOf(secondary);
    for (const name of names) {
      const { alignment, size } = windows[name];
      const space = available[name];
      const part = alignment > 0n ? alignDown(portion[name], alignment) : portion[name];
      space.end = wrap(space.start + part - 1n);
      space.start = wrap(space.start - size);
    }
    share(secondary, available, top, extras, rules);
    // The kernel adds the end, not the size.
    for (const name of names) available[name].start = wrap(available[name].start + available[name].end + 1n);
  }
}

/** Makes a window as large as what it was given. */
function adjust(window: Resource, name: Name, size: bigint, extras: Extras | null, rules: LinuxRules): void {
  if (window.parent || size === 0n || size === window.size) return;
  if (size < window.size && rules.rounds === 'optional') {
    if (!extras || window.size > hotplugExtra[name]) return;
    const extra = extras.get(window);
    const less = window.size - size;
    if (extra && less < extra.size) extra.size -= less;
    else extras.delete(window);
    return;
  }
  window.setRange(window.start, size);
  extras?.delete(window);
}

/** What a function on the bus takes of it. */
function take(res: Resource, available: AllAvailable, own: Windows, top: Resource, rules: LinuxRules): void {
  const name = rules.rounds === 'optional' ? chosen(res, own) : byKind(res, top);
  if (!name || res.size === 0n) return;
  const space = available[name];
  const { alignment } = res;
  const gap = alignment > 0n ? wrap(alignUp(space.start, alignment) - space.start) : 0n;
  space.start = minOf(wrap(space.start + gap + res.size), wrap(space.end + 1n));
}

function chosen(res: Resource, own: Windows): Name | undefined {
  const window = res.parent ?? windowFor(res.kinds, own);
  return names.find((name) => own[name] === window);
}

function byKind({ kinds }: Resource, top: Resource): Name | undefined {
  if ((kinds & IO) !== 0) return 'io';
  if ((kinds & MEM) === 0) return undefined;
  return (kinds & PREFETCH) !== 0 && (kinds & MEM64) === (top.kinds & MEM64) ? 'prefetchable' : 'memory';
}
