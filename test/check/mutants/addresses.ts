import { AddressRange } from '../../../src/address/range.js';
import type { HostWindow, Machine } from '../../../src/machine/model.js';
import type { PlannedFunction } from '../../../src/place/plan.js';
import type { Given, Mutant, Rule, Spot } from './mutant.js';

/* Where things may lie: in which window, apart from each other, off RAM and reserved ranges, within what registers say. */

type WindowKind = 'io' | 'memory' | 'prefetchable';
const kinds: readonly WindowKind[] = ['io', 'memory', 'prefetchable'];
const stepOf = (kind: WindowKind) => (kind === 'io' ? 0x1000n : 0x10_0000n);
const FOUR_GIB = 1n << 32n;

/** Something that takes addresses on a bus, and how to put it elsewhere. */
interface Taker {
  readonly spot: Spot;
  readonly what: 'BAR' | 'ROM' | 'VF' | WindowKind;
  readonly io: boolean;
  /** 32 bits: a BAR's type, not where it lies. */
  readonly low: boolean;
  readonly prefetchable: boolean;
  readonly base: bigint;
  readonly size: bigint;
  readonly align: bigint;
  readonly to: (base: bigint) => Mutant;
}

function takersOf(given: Given, spot: Spot): Taker[] {
  const { planned, bridge } = spot;
  const { id } = planned;
  const takers: Taker[] = planned.bars.map((bar, i) => ({
    ...{ spot, what: 'BAR', io: bar.type === 'io', low: bar.type !== 'mem64', prefetchable: bar.prefetchable },
    ...{ base: bar.address, size: bar.size, align: bar.size },
    to: (address) =>
      given.onFunction(id, (own) => ({
        ...own,
        bars: own.bars.map((one, k) => (k === i ? { ...one, address } : one)),
      })),
  }));
  const { rom } = planned;
  if (rom)
    takers.push({
      ...{ spot, what: 'ROM', io: false, low: true, prefetchable: false },
      ...{ base: rom.address, size: rom.size, align: rom.size },
      to: (address) => given.onFunction(id, (own) => ({ ...own, rom: { ...rom, address } })),
    });
  const vf = planned.sriov?.bars[0];
  if (vf)
    takers.push({
      ...{ spot, what: 'VF', io: false, low: vf.type !== 'mem64', prefetchable: vf.prefetchable },
      ...{ base: vf.address, size: vf.size * BigInt(vf.count), align: vf.size },
      to: (address) =>
        given.onFunction(id, (own): PlannedFunction => ({ ...own, sriov: { bars: [{ ...vf, address }] } })),
    });
  for (const kind of kinds) {
    const range = bridge?.[kind];
    if (!range) continue;
    takers.push({
      ...{ spot, what: kind, io: kind === 'io', low: kind !== 'prefetchable', prefetchable: kind === 'prefetchable' },
      ...{ base: range.base, size: range.size, align: stepOf(kind) },
      to: (base) => given.onBridge(id, { [kind]: AddressRange.sized(base, range.size) }),
    });
  }
  return takers;
}

const all = (given: Given): Taker[] => given.spots.flatMap((spot) => takersOf(given, spot));
const down = (at: bigint, align: bigint) => (at / align) * align;
const isWindow = ({ what }: Taker) => what === 'io' || what === 'memory' || what === 'prefetchable';
const onRoot = ({ spot }: Taker) => spot.parent === null;

const move =
  (fit: (taker: Taker) => boolean, to: (taker: Taker, given: Given) => bigint | null) =>
  (given: Given): Mutant | null => {
    const taker = given.one(all(given).filter((one) => fit(one) && to(one, given) !== null));
    return taker && taker.to(to(taker, given)!);
  };

/** One of two on a bus put onto the other. */
const onto = (mover: (taker: Taker) => boolean, root: boolean) =>
  move(
    (one) => mover(one) && onRoot(one) === root,
    (one, given) =>
      given.one(
        all(given).flatMap((other) =>
          other.spot.parent === one.spot.parent &&
          other.spot.host === one.spot.host &&
          other.io === one.io &&
          other.base !== one.base
            ? [down(other.base, one.align)]
            : [],
        ),
      ),
  );

/** A range that is in the way of what lies on a root bus: its first byte, or its last. */
const blocked =
  (by: 'ram' | 'reserved', end: 'first' | 'last', seen: 'bus' | 'CPU') =>
  (given: Given): Mutant | null => {
    const { machine, plan } = given;
    const taker = given.one(
      all(given).filter((one) => onRoot(one) && !one.io && (seen === 'bus' || shiftOf(machine, one) !== 0n)),
    );
    if (!taker) return null;
    const at = taker.base + (end === 'last' ? taker.size - 1n : 0n);
    const range = AddressRange.sized(seen === 'CPU' ? at + shiftOf(machine, taker) : at, 1n);
    const more =
      by === 'ram'
        ? { ram: [...machine.ram, range] }
        : { reserved: [...machine.reserved, { range, reason: 'mutant' }] };
    return { machine: { ...machine, ...more }, plan };
  };

function homeOf(machine: Machine, { spot, base, io }: Taker): HostWindow | undefined {
  return machine.hostBridges[spot.host]!.windows.find(
    (window) => (window.type === 'io') === io && window.base <= base && base < window.base + window.size,
  );
}

function shiftOf(machine: Machine, taker: Taker): bigint {
  const home = homeOf(machine, taker);
  return home ? home.cpuBase - home.base : 0n;
}

/** The same with other windows of a host bridge, in the machine and in the plan. */
function withWindows({ machine, plan }: Mutant, host: number, windows: readonly HostWindow[]): Mutant {
  const own = <T extends { readonly windows: readonly HostWindow[] }>(list: readonly T[]) =>
    list.map((one, i) => (i === host ? { ...one, windows } : one));
  return {
    machine: { ...machine, hostBridges: own(machine.hostBridges) },
    plan: { ...plan, hostBridges: own(plan.hostBridges) },
  };
}

/** In a 64-bit host bridge window below 4 GiB, which there was none of. */
const inLowWindow =
  (fit: (taker: Taker) => boolean) =>
  (given: Given): Mutant | null => {
    const base = 0xe000_0000n;
    const taker = given.one(all(given).filter((one) => onRoot(one) && fit(one) && one.size <= 0x1000_0000n));
    if (!taker) return null;
    const { windows } = given.machine.hostBridges[taker.spot.host]!;
    return withWindows(taker.to(base), taker.spot.host, [
      ...windows,
      { type: 'mem64', base, size: 0x1000_0000n, cpuBase: base },
    ]);
  };

/** What lies in one window of the bridge above, put into another. */
const intoWindow = (fit: (taker: Taker) => boolean, kind: WindowKind) =>
  move(fit, ({ spot, align, size }) => {
    const range = spot.parent?.bridge?.[kind];
    const at = range ? down(range.base + align - 1n, align) : 0n;
    return range && at + size - 1n <= range.limit ? at : null;
  });

const onWindow =
  (
    kind: WindowKind,
    fit: (spot: Spot, range: AddressRange) => boolean,
    change: (range: AddressRange, given: Given) => AddressRange | null,
  ) =>
  (given: Given): Mutant | null => {
    const spot = given.spot((one) => {
      const range = one.bridge?.[kind];
      return range ? fit(one, range) : false;
    });
    return spot && given.onBridge(spot.fn.id, { [kind]: change(spot.bridge![kind]!, given) });
  };

/** Room that is asked for and is not there: one byte more than the largest hole can be. */
const tooMuchRoom =
  (kind: WindowKind) =>
  (given: Given): Mutant | null => {
    const spot = given.spot(({ bridge, fn }) => bridge !== undefined && fn.bridge !== undefined);
    if (!spot) return null;
    const range = spot.bridge![kind];
    const inside = given.spots.filter(({ parent }) => parent === spot).flatMap((one) => takersOf(given, one));
    const used = inside
      .filter(({ base, size }) => range && base >= range.base && base + size - 1n <= range.limit)
      .sort((a, b) => (a.base < b.base ? -1 : 1));
    let cursor = range?.base ?? 0n;
    let largest = 0n;
    for (const { base, size } of [...used, { base: (range?.limit ?? -1n) + 1n, size: 0n }]) {
      if (base - cursor > largest) largest = base - cursor;
      cursor = base + size;
    }
    return given.ofBridge(spot.fn.id, { reserve: { ...spot.fn.bridge!.reserve, [kind]: largest + 1n } });
  };

const isBar = ({ what }: Taker) => what === 'BAR';
const whats = ['BAR', 'ROM', 'VF', 'memory', 'prefetchable', 'io'] as const;

export const addressRules: readonly Rule[] = [
  ...whats.flatMap((what): Rule[] => [
    {
      name: `what lies on a root bus lies in a window of its host bridge: ${what}`,
      says: /lies in no fitting window of pcie\./,
      mutate: move(
        (one) => one.what === what && onRoot(one),
        (one) => down(0xffff_ffffn - one.size, one.align),
      ),
    },
    {
      name: `what lies behind a bridge lies in a window of it: ${what}`,
      says: /lies in no fitting window of f\d/,
      mutate: move(
        (one) => one.what === what && !onRoot(one),
        (one) => down(0xffff_ffffn - one.size, one.align),
      ),
    },
    {
      name: `siblings do not overlap: ${what}`,
      says: /bus behind f\d+: .* overlap/,
      mutate: onto((one) => one.what === what, false),
    },
    ...(what === 'ROM'
      ? []
      : [
          {
            name: `nor on a root bus: ${what}`,
            says: /root bus of pcie\.\d: .* overlap/,
            mutate: onto((one: Taker) => one.what === what, true),
          },
        ]),
  ]),
  {
    name: 'a 32-bit BAR on a root bus lies in a 32-bit window',
    says: /BAR \d: .* lies in no fitting window of pcie/,
    mutate: inLowWindow((one) => isBar(one) && one.low && !one.io),
  },
  {
    name: 'a memory window, too',
    says: /memory window of f\d+: .* lies in no fitting window of pcie/,
    mutate: inLowWindow(({ what }) => what === 'memory'),
  },
  {
    name: 'what is not prefetchable lies in no prefetchable window: BAR',
    says: /BAR \d: .* lies in no fitting window of f/,
    mutate: (given) =>
      given.machine.allowNonPrefetchableInPrefetchable
        ? null
        : intoWindow((one) => isBar(one) && !one.prefetchable && !one.io, 'prefetchable')(given),
  },
  {
    name: 'nor does a 32-bit one by the exception',
    says: /BAR \d: .* lies in no fitting window of f/,
    mutate: (given) =>
      given.machine.allowNonPrefetchableInPrefetchable
        ? intoWindow((one) => isBar(one) && one.low && !one.prefetchable && !one.io, 'prefetchable')(given)
        : null,
  },
  {
    name: 'nor a ROM',
    says: /ROM: .* lies in no fitting window of f/,
    mutate: intoWindow(({ what }) => what === 'ROM', 'prefetchable'),
  },
  {
    name: 'nor a memory window',
    says: /memory window of f\d+: .* lies in no fitting window of f/,
    mutate: intoWindow(({ what }) => what === 'memory', 'prefetchable'),
  },
  {
    name: 'a 32-bit prefetchable BAR lies in no window that ends above 4 GiB',
    says: /in a prefetchable window that is not below 4 GiB/,
    mutate: (given) => {
      const spot = given.spot(
        ({ bridge, fn }) =>
          bridge !== undefined &&
          (bridge.prefetchable?.limit ?? 0n) >= FOUR_GIB &&
          given.spots.some(({ parent, planned }) => parent?.fn === fn && planned.bars.some(is32Prefetchable)),
      );
      if (!spot) return null;
      const range = AddressRange.of(0n, spot.bridge!.prefetchable!.limit);
      return given.onBridge(spot.fn.id, { memory: null, prefetchable: range });
    },
  },
  {
    name: 'a 32-bit BAR, port or ROM lies below 4 GiB',
    says: /but has 32 bits/,
    mutate: move(
      (one) => one.low && !isWindow(one),
      () => FOUR_GIB,
    ),
  },
  {
    name: 'a 64-bit BAR below 2^64',
    says: /runs past 64 bits/,
    mutate: move(
      (one) => !one.low && !isWindow(one),
      () => FOUR_GIB * FOUR_GIB,
    ),
  },
  ...kinds.flatMap((kind): Rule[] => [
    {
      name: `the ${kind} window begins at a step`,
      says: /not in steps of/,
      mutate: onWindow(
        kind,
        (_, { base }) => base > 0n,
        ({ base, limit }) => AddressRange.of(base - stepOf(kind) / 2n, limit),
      ),
    },
    {
      name: `the ${kind} window ends before one`,
      says: /not in steps of/,
      mutate: onWindow(
        kind,
        () => true,
        ({ base, limit }) => AddressRange.of(base, limit + stepOf(kind) / 2n),
      ),
    },
    {
      name: `the ${kind} window does not end at its limit plus one`,
      says: /not in steps of/,
      mutate: onWindow(
        kind,
        () => true,
        ({ base, limit }) => AddressRange.of(base, limit + 1n),
      ),
    },
    ...(kind === 'memory'
      ? []
      : [
          {
            name: `the bridge has a ${kind} window`,
            says: /the bridge has none/,
            mutate: (given: Given) => {
              const spot = given.spot(({ bridge }) => Boolean(bridge?.[kind]));
              return spot && given.ofBridge(spot.fn.id, { [kind]: 0 });
            },
          },
        ]),
    {
      name: `the ${kind} window is as wide as the bridge decodes`,
      says: /decodes (16|32) bits/,
      mutate: (given) => {
        const bits = ({ fn }: Spot) => (kind === 'memory' ? 32 : fn.bridge![kind]);
        const spot = given.spot((one) => Boolean(one.bridge?.[kind]) && bits(one) < 64);
        const end = spot ? 1n << BigInt(bits(spot)) : 0n;
        return (
          spot &&
          given.onBridge(spot.fn.id, { [kind]: AddressRange.of(spot.bridge![kind]!.base, end + stepOf(kind) - 1n) })
        );
      },
    },
    {
      name: `the ${kind} window lies where it is pinned`,
      says: new RegExp(`${kind} window of f\\d+: not where it is pinned`),
      mutate: onWindow(
        kind,
        ({ fn }) => fn.bridge?.pin[kind] !== undefined,
        ({ base, limit }, given) => given.one([null, AddressRange.of(base, limit + stepOf(kind))]),
      ),
    },
    {
      name: `the ${kind} window is open for something`,
      says: /open for nothing/,
      mutate: (given) => {
        const spot = given.spot(
          ({ fn, bridge }) => bridge?.[kind] === null && (kind === 'memory' || fn.bridge![kind] > 0),
        );
        return spot && given.onBridge(spot.fn.id, { [kind]: AddressRange.sized(0n, stepOf(kind)) });
      },
    },
    {
      name: `the ${kind} window is open for what is in it`,
      says: /lies in no fitting window of f/,
      mutate: onWindow(
        kind,
        ({ fn }) => fn.bridge!.reserve[kind] === 0n && fn.bridge!.pin[kind] === undefined,
        () => null,
      ),
    },
    {
      name: `the ${kind} window reaches as far as what is in it`,
      says: /lies in no fitting window of f/,
      mutate: onWindow(
        kind,
        ({ fn }, { size }) =>
          // Room for hotplug may lie at either end, and be larger than it has to.
          fn.bridge!.pin[kind] === undefined && fn.bridge!.reserve[kind] === 0n && size > stepOf(kind),
        ({ base, limit }, given) =>
          given.one([AddressRange.of(base + stepOf(kind), limit), AddressRange.of(base, limit - stepOf(kind))]),
      ),
    },
    {
      name: `the ${kind} window has the room for hotplug that is asked for, in one piece`,
      says: new RegExp(`${kind} window of f\\d+: .* free in one piece`),
      mutate: tooMuchRoom(kind),
    },
  ]),
  ...(['ram', 'reserved'] as const).flatMap((by) =>
    (['first', 'last'] as const).flatMap((end) =>
      (['bus', 'CPU'] as const).map((seen): Rule => ({
        name: `nothing lies on ${by} with its ${end} byte, by ${seen} address`,
        says: new RegExp(`on ${by === 'ram' ? 'RAM' : 'mutant'}, as a ${seen} address`),
        mutate: blocked(by, end, seen),
      })),
    ),
  ),
  {
    name: 'nothing lies past the address bits',
    says: /beyond \d+ address bits/,
    mutate: (given) => {
      const { machine, plan } = given;
      const taker = given.one(all(given).filter((one) => onRoot(one) && !one.io));
      if (!taker) return null;
      const last = taker.base + taker.size - 1n + shiftOf(machine, taker);
      return { machine: { ...machine, physicalAddressBits: last.toString(2).length - 1 }, plan };
    },
  },
  ...[false, true].map((io): Rule => ({
    name: `two host bridges use no CPU address both: ${io ? 'ports' : 'memory'}`,
    says: /the CPU: .* overlap/,
    mutate: (given) => {
      const own = (host: number) =>
        given.one(all(given).filter((one) => onRoot(one) && one.io === io && one.spot.host === host));
      const [a, b] = [own(0), own(1)];
      const home = b && homeOf(given.machine, b);
      if (!a || !b || !home) return null;
      const cpuBase = a.base + shiftOf(given.machine, a) - (b.base - home.base);
      if (cpuBase < 0n) return null;
      const windows = given.machine.hostBridges[1]!.windows.map((one) => (one === home ? { ...one, cpuBase } : one));
      return withWindows({ machine: given.machine, plan: given.plan }, 1, windows);
    },
  })),
];

function is32Prefetchable({ type, prefetchable }: { readonly type: string; readonly prefetchable: boolean }) {
  return type === 'mem32' && prefetchable;
}
