import type { BarType, HostWindow, Machine } from '../../src/machine/model.js';
import type { Checked } from './checked.js';
import { x } from './checked.js';

type Kind = 'io' | 'memory' | 'prefetchable';

interface Used {
  readonly what: string;
  readonly low: bigint;
  readonly high: bigint;
  readonly io: boolean;
  /** Bridge windows that it may lie in; the type of a BAR says which host bridge windows. */
  readonly homes: readonly Kind[];
  readonly hosts: readonly BarType[];
  /** Has to lie in a window that ends below 4 GiB, if that window is prefetchable. */
  readonly needsLow: boolean;
}

const FOUR_GIB = 0x1_0000_0000n;
const kinds: readonly Kind[] = ['io', 'memory', 'prefetchable'];

/** Windows and what lies in them: containment, overlap, reserved ranges, RAM, address bits, room for hotplug. */
export function checkAddresses(machine: Machine, roots: Checked[][], say: (text: string) => void): void {
  const onCpu: { what: string; low: bigint; high: bigint; io: boolean }[] = [];
  roots.forEach((list, i) => {
    const windows = machine.hostBridges[i]!.windows;
    const used = list.flatMap((one) => usedBy(machine, one, say));
    disjoint(used, `root bus of ${machine.hostBridges[i]!.id}`, say);
    for (const one of used) {
      const home = hostWindowOf(one, windows);
      if (!home) {
        say(`${one.what}: ${x(one.low)}-${x(one.high)} lies in no fitting window of ${machine.hostBridges[i]!.id}`);
        continue;
      }
      const shift = home.cpuBase - home.base;
      onCpu.push({ what: one.what, low: one.low + shift, high: one.high + shift, io: one.io });
      if (!one.io) keepsOff(machine, one, shift, say);
    }
    for (const one of list) checkBehind(machine, one, say);
  });
  disjoint(onCpu, 'the CPU', say);
}

function keepsOff(machine: Machine, one: Used, shift: bigint, say: (text: string) => void): void {
  const bits = machine.physicalAddressBits;
  if (bits !== undefined && one.high + shift >= 2n ** BigInt(bits)) say(`${one.what}: beyond ${bits} address bits`);
  const blocked = [
    ...machine.ram.map((range) => ({ range, why: 'RAM' })),
    ...machine.reserved.map(({ range, reason }) => ({ range, why: reason })),
  ];
  for (const { range, why } of blocked) {
    if (one.low <= range.limit && range.base <= one.high) say(`${one.what}: on ${why}, as a bus address`);
    if (one.low + shift <= range.limit && range.base <= one.high + shift)
      say(`${one.what}: on ${why}, as a CPU address`);
  }
}

const hostWindowOf = (one: Used, windows: readonly HostWindow[]) =>
  windows.find(({ type, base, size }) => one.hosts.includes(type) && base <= one.low && one.high <= base + size - 1n);

function disjoint(
  list: readonly { what: string; low: bigint; high: bigint; io: boolean }[],
  where: string,
  say: (text: string) => void,
) {
  for (const io of [false, true]) {
    const sorted = list.filter((one) => one.io === io).sort((a, b) => (a.low < b.low ? -1 : a.low > b.low ? 1 : 0));
    sorted.forEach((one, i) => {
      const before = sorted[i - 1];
      if (before && before.high >= one.low) say(`${where}: ${before.what} and ${one.what} overlap`);
    });
  }
}

/** What a function takes on the bus that it sits on: its BARs, ROM and VF BARs, and its windows if it is a bridge. */
function usedBy(machine: Machine, one: Checked, say: (text: string) => void): Used[] {
  const { fn, planned, bridge } = one;
  const used: Used[] = [];
  const bar = (what: string, type: BarType, prefetchable: boolean, low: bigint, size: bigint) => {
    const high = low + size - 1n;
    if (type !== 'mem64' && high >= FOUR_GIB) say(`${what}: ends at ${x(high)}, but has 32 bits`);
    if (high >= 2n ** 64n) say(`${what}: runs past 64 bits`);
    const excepted = type === 'mem64' && machine.allowNonPrefetchableInPrefetchable;
    const homes: Kind[] = type === 'io' ? ['io'] : prefetchable || excepted ? ['memory', 'prefetchable'] : ['memory'];
    const hosts: BarType[] = type === 'mem64' ? ['mem64', 'mem32'] : [type];
    used.push({ what, low, high, io: type === 'io', homes, hosts, needsLow: type === 'mem32' });
  };
  for (const b of planned.bars) bar(`${fn.id} BAR ${b.index}`, b.type, b.prefetchable, b.address, b.size);
  if (planned.rom) bar(`${fn.id} ROM`, 'mem32', false, planned.rom.address, planned.rom.size);
  for (const b of planned.sriov?.bars ?? [])
    bar(`${fn.id} VF BAR ${b.index}`, b.type, b.prefetchable, b.address, b.size * BigInt(b.count));
  for (const kind of kinds) {
    const range = bridge?.[kind];
    if (!range || !fn.bridge) continue;
    const what = `${kind} window of ${fn.id}`;
    const step = kind === 'io' ? 0x1000n : 0x10_0000n;
    if (range.base % step !== 0n || (range.limit + 1n) % step !== 0n) say(`${what}: not in steps of ${x(step)}`);
    const bits = kind === 'memory' ? 32 : fn.bridge[kind];
    if (bits === 0) say(`${what}: the bridge has none`);
    else if (range.limit >= 2n ** BigInt(bits)) say(`${what}: ends at ${x(range.limit)}, but decodes ${bits} bits`);
    const homes: Kind[] = kind === 'prefetchable' ? ['prefetchable', 'memory'] : [kind];
    const hosts: BarType[] = kind === 'io' ? ['io'] : kind === 'memory' ? ['mem32'] : ['mem64', 'mem32'];
    used.push({ what, low: range.base, high: range.limit, io: kind === 'io', homes, hosts, needsLow: false });
  }
  return used;
}

function checkBehind(machine: Machine, one: Checked, say: (text: string) => void): void {
  const { fn, bridge, children } = one;
  if (!bridge || !fn.bridge) return;
  const used = children.flatMap((child) => usedBy(machine, child, say));
  disjoint(used, `bus behind ${fn.id}`, say);
  const inside: Record<Kind, Used[]> = { io: [], memory: [], prefetchable: [] };
  for (const each of used) {
    const home = each.homes.find((kind) => {
      const window = bridge[kind];
      return window && window.base <= each.low && each.high <= window.limit;
    });
    if (!home) {
      say(`${each.what}: ${x(each.low)}-${x(each.high)} lies in no fitting window of ${fn.id}`);
      continue;
    }
    inside[home].push(each);
    if (home === 'prefetchable' && each.needsLow && bridge.prefetchable!.limit >= FOUR_GIB)
      say(`${each.what}: 32 bits, in a prefetchable window that is not below 4 GiB`);
  }
  for (const kind of kinds) {
    const window = bridge[kind];
    const pin = fn.bridge.pin[kind];
    const reserve = fn.bridge.reserve[kind];
    if (pin && (window?.base !== pin.base || window.limit !== pin.limit))
      say(`${kind} window of ${fn.id}: not where it is pinned`);
    if (window && !pin && inside[kind].length === 0 && reserve === 0n)
      say(`${kind} window of ${fn.id}: open for nothing`);
    const room = window ? largestHole(window.base, window.limit, inside[kind]) : 0n;
    if (room < reserve) say(`${kind} window of ${fn.id}: ${x(room)} free in one piece, ${x(reserve)} reserved`);
  }
  for (const child of children) checkBehind(machine, child, say);
}

function largestHole(base: bigint, limit: bigint, used: readonly Used[]): bigint {
  let largest = 0n;
  let cursor = base;
  for (const { low, high } of used.toSorted((a, b) => (a.low < b.low ? -1 : 1))) {
    if (low - cursor > largest) largest = low - cursor;
    if (high + 1n > cursor) cursor = high + 1n;
  }
  return limit + 1n - cursor > largest ? limit + 1n - cursor : largest;
}
