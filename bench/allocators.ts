import { AddressRange } from '../src/address/range.js';
import type { Bar, HostBridge, Machine, MachineFunction } from '../src/machine/model.js';

/*
 * Two plain ways to give out addresses, to compare with. They do memory only: BARs, ROMs and VF BAR groups, two windows a
 * bridge, pins of those; pins of windows and bus numbers, and ports, they are spared. What they call placed is therefore no
 * more than a part of a plan.
 */

interface Item {
  readonly size: bigint;
  readonly align: bigint;
  readonly pin: bigint | undefined;
}

interface Window {
  readonly items: Item[];
  readonly windows: Window[];
}

const MiB = 0x10_0000n;
const up = (value: bigint, step: bigint) => ((value + step - 1n) / step) * step;

type Allocator = (window: Window, from: bigint, end: bigint) => boolean;

/** True where `allocator` finds an address for everything in a machine's memory windows. */
function fits(machine: Machine, allocator: Allocator): boolean {
  return machine.hostBridges.every((host) => {
    const { low, high } = demand(host);
    const of = (type: 'mem32' | 'mem64') => host.windows.find((window) => window.type === type);
    const [below, above] = [of('mem32'), of('mem64')];
    const allocate = (window: Window, into: typeof below) =>
      (window.items.length === 0 && window.windows.length === 0) ||
      (into !== undefined && allocator(window, into.base, into.base + into.size));
    return allocate(low, below) && allocate(high, above ?? below);
  });
}

/** What goes below 4 GiB and what above, as trees of windows. */
function demand(host: HostBridge) {
  const collect = (functions: readonly MachineFunction[], low: Window, high: Window) => {
    for (const fn of functions) {
      const add = (bar: Pick<Bar, 'type' | 'prefetchable' | 'size' | 'pin'>, count = 1n) => {
        const into = bar.type === 'mem64' && bar.prefetchable ? high : low;
        into.items.push({ size: bar.size * count, align: bar.size, pin: bar.pin });
      };
      for (const bar of fn.bars) if (bar.type !== 'io') add(bar);
      if (fn.rom) add({ type: 'mem32', prefetchable: false, size: fn.rom.size, ...pinOf(fn.rom.pin) });
      for (const bar of fn.sriov?.bars ?? []) add(bar, BigInt(fn.sriov?.totalVfs ?? 0));
      if (!fn.bridge) continue;
      const memory: Window = { items: [], windows: [] };
      const prefetchable: Window = { items: [], windows: [] };
      const wide = fn.bridge.prefetchable === 64 && high !== low;
      collect(fn.bridge.functions, memory, wide ? prefetchable : memory);
      if (memory.items.length + memory.windows.length > 0) low.windows.push(memory);
      if (prefetchable.items.length + prefetchable.windows.length > 0) high.windows.push(prefetchable);
    }
  };
  const [low, high]: [Window, Window] = [
    { items: [], windows: [] },
    { items: [], windows: [] },
  ];
  collect(host.functions, low, high);
  return { low, high };
}

const pinOf = (pin: bigint | undefined) => (pin === undefined ? {} : { pin });

/** One cursor that only goes up; a pin moves it, and a pin below it is where it fails. */
export const bump = (machine: Machine): boolean =>
  fits(machine, (root, from, end) => {
    let cursor = from;
    const walk = (window: Window): boolean => {
      for (const { size, align, pin } of window.items) {
        if (pin !== undefined && pin < cursor) return false;
        cursor = (pin ?? up(cursor, align)) + size;
        if (cursor > end) return false;
      }
      for (const inner of window.windows) {
        cursor = up(cursor, MiB);
        if (!walk(inner)) return false;
        cursor = up(cursor, MiB);
      }
      return cursor <= end;
    };
    return walk(root);
  });

/** Claimed ranges, ascending. */
class Claims {
  readonly #ranges: { readonly base: bigint; readonly end: bigint }[] = [];

  /** The lowest free address from `from` on, by looking at every range that is claimed. */
  find(size: bigint, align: bigint, from: bigint, end: bigint): bigint | undefined {
    let at = up(from, align);
    for (const range of this.#ranges) {
      if (range.end <= at) continue;
      if (range.base >= at + size) break;
      at = up(range.end, align);
    }
    return at + size <= end ? at : undefined;
  }

  claim(base: bigint, size: bigint): boolean {
    const index = this.#ranges.findIndex((range) => range.end > base);
    const next = index < 0 ? undefined : this.#ranges[index];
    if (next && next.base < base + size) return false;
    this.#ranges.splice(index < 0 ? this.#ranges.length : index, 0, { base, end: base + size });
    return true;
  }
}

/**
 * Pins first, the rest largest first, each at the lowest address that is free; a bridge's window is as large as what it
 * holds, or the hull of its pins where it has some.
 */
export const firstFit = (machine: Machine): boolean =>
  fits(machine, (root, from, end) => {
    const place = (window: Window, base: bigint, limit: bigint): boolean => {
      const claims = new Claims();
      const pinned = window.items.filter(({ pin }) => pin !== undefined);
      if (!pinned.every(({ pin = 0n, size }) => pin >= base && pin + size <= limit && claims.claim(pin, size)))
        return false;
      const inner = window.windows.map((one) => ({ one, hull: hullOf(one), size: spanOf(one) }));
      for (const { one, hull, size } of inner) {
        if (!hull) continue;
        const start = (hull.base / MiB) * MiB;
        const length = up(hull.limit + 1n - start > size ? hull.limit + 1n - start : size, MiB);
        if (start < base || start + length > limit || !claims.claim(start, length)) return false;
        if (!place(one, start, start + length)) return false;
      }
      const free = [
        ...window.items.filter(({ pin }) => pin === undefined).map(({ size, align }) => ({ size, align, one: null })),
        ...inner.filter(({ hull }) => !hull).map(({ one, size }) => ({ size, align: MiB, one })),
      ].sort((a, b) => (a.size === b.size ? 0 : a.size > b.size ? -1 : 1));
      return free.every(({ size, align, one }) => {
        const at = claims.find(size, align, base, limit);
        return at !== undefined && claims.claim(at, size) && (!one || place(one, at, at + size));
      });
    };
    return place(root, from, end);
  });

/** First and last byte of everything pinned in a window and the windows in it. */
function hullOf(window: Window): AddressRange | undefined {
  let hull: AddressRange | undefined;
  const cover = (range: AddressRange) => {
    if (!hull) hull = range;
    else {
      const { base, limit } = hull;
      hull = AddressRange.of(range.base < base ? range.base : base, range.limit > limit ? range.limit : limit);
    }
  };
  for (const { pin, size } of window.items) if (pin !== undefined) cover(AddressRange.sized(pin, size));
  for (const inner of window.windows) {
    const own = hullOf(inner);
    if (own) cover(own);
  }
  return hull;
}

/** Bytes that a window needs for its contents, largest first, at an address that suits the largest. */
function spanOf(window: Window): bigint {
  const sizes = [
    ...window.items.map(({ size, align }) => ({ size, align })),
    ...window.windows.map((inner) => ({ size: spanOf(inner), align: MiB })),
  ].sort((a, b) => (a.align === b.align ? 0 : a.align > b.align ? -1 : 1));
  const span = sizes.reduce((end, { size, align }) => up(end, align) + size, 0n);
  const most = sizes[0]?.align ?? 1n;
  // Its window may start at any MiB: the largest then waits for its alignment.
  return up(span + (most > MiB ? most - MiB : 0n), MiB);
}
