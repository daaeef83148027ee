import { maxOf } from '../address/align.js';
import { hex } from '../address/format.js';
import { AddressRange } from '../address/range.js';
import { formatBdf } from '../pci/bdf.js';
import type { Plan, PlannedBar, PlannedBridge, PlannedFunction } from '../place/plan.js';
import type { QemuFunction, QemuRange } from './query-pci.js';

/**
 * Compares a plan with QEMU's own view of the programmed machine: `query-pci` for registers, `info mtree` for what
 * its memory system decodes. Shares nothing with `program`, which reads config space back.
 * @returns every difference in words; empty where QEMU agrees.
 */
export function crossCheck(plan: Plan, seen: readonly QemuFunction[], mtree: string): string[] {
  const key = (bus: number, device: number, fn: number) => `${bus}:${device}.${fn}`;
  const byAddress = new Map(seen.map((fn) => [key(fn.bus, fn.device, fn.fn), fn]));
  const bridges = new Map(plan.bridges.map((bridge) => [bridge.id, bridge]));
  const decoded = decodedRanges(mtree);
  return plan.functions.flatMap((fn) => {
    const { bus, device, fn: number } = fn.address;
    const found = byAddress.get(key(bus, device, number));
    if (!found) return [`QEMU has no function at ${formatBdf(fn.address)}, where the plan has ${fn.id}`];
    const bridge = bridges.get(fn.id);
    return [...bars(plan, fn, found, decoded), ...(bridge ? bridgeDifferences(bridge, found) : [])];
  });
}

function bars(plan: Plan, fn: PlannedFunction, found: QemuFunction, decoded: ReadonlySet<string>): string[] {
  return fn.bars.flatMap((bar) => {
    const name = `${fn.id} (${formatBdf(fn.address)}) BAR ${bar.index}`;
    const region = found.regions.find((one) => one.bar === bar.index);
    if (!region) return [`${name}: QEMU has no such BAR`];
    // What cannot be said in a BAR is rounded up: pvpanic-pci has 2 bytes.
    const size = maxOf(region.size, bar.type === 'io' ? 4n : 16n);
    if (size !== bar.size) return [`${name}: ${hex(bar.size)} bytes in the plan, ${hex(region.size)} in QEMU`];
    if (region.address !== bar.address) {
      const where = region.address === null ? 'does not decode it' : `has it at ${hex(region.address)}`;
      return [`${name}: planned at ${hex(bar.address)}, QEMU ${where}`];
    }
    if (!candidates(plan, fn, { ...bar, size: region.size }).some((range) => decoded.has(range.toString()))) {
      return [
        `${name}: programmed at ${hex(bar.address)}, but QEMU's memory tree decodes nothing from there to its end`,
      ];
    }
    return [];
  });
}

/** The BAR's range on the bus, and as CPU addresses, which is how `info mtree` lists I/O ports of the root bus. */
function candidates(plan: Plan, fn: PlannedFunction, bar: PlannedBar): AddressRange[] {
  const range = AddressRange.sized(bar.address, bar.size);
  const windows = plan.hostBridges
    .filter((host) => host.segment === fn.address.segment)
    .flatMap((host) => host.windows)
    .filter((window) => (window.type === 'io') === (bar.type === 'io'))
    .filter((window) => AddressRange.sized(window.base, window.size).covers(range));
  return [range, ...windows.map(({ base, cpuBase }) => AddressRange.sized(bar.address - base + cpuBase, bar.size))];
}

function bridgeDifferences(bridge: PlannedBridge, found: QemuFunction): string[] {
  const name = `bridge ${bridge.id} (${formatBdf(bridge.address)})`;
  const view = found.bridge;
  if (!view) return [`${name}: QEMU does not see a bridge`];
  const numbers = (['secondary', 'subordinate'] as const)
    .filter((register) => view[register] !== bridge[register])
    .map((register) => `${name}: ${register} is ${bridge[register]} in the plan, ${view[register]} in QEMU`);
  const windows = (['io', 'memory', 'prefetchable'] as const).flatMap((type) => {
    const planned = bridge[type];
    const closed = view[type].base > view[type].limit;
    // A closed window has no one value: any base above its limit will do.
    if (planned === null ? closed : !closed && planned.base === view[type].base && planned.limit === view[type].limit)
      return [];
    return [`${name}: ${type} window is ${planned?.toString() ?? 'closed'} in the plan, ${say(view[type])} in QEMU`];
  });
  return [...numbers, ...windows];
}

const say = ({ base, limit }: QemuRange) => (base > limit ? 'closed' : `${hex(base)}-${hex(limit)}`);

/**
 * Aliases that show what lies behind: windows of bridges and of host bridges. What a device has as an alias is its own, as
 * the memory BAR of rtl8139 is.
 */
const WINDOW = /^alias \S.* @(?:pci|pci_bridge_\w+|gpex_\w+|system) /;

/** `info mtree`'s ranges that a device decodes, as `AddressRange` prints them. */
export function decodedRanges(mtree: string): Set<string> {
  const ranges = new Set<string>();
  for (const match of mtree.matchAll(/^ +([0-9a-f]{16})-([0-9a-f]{16}) \(prio [^)]*\): (.*)$/gm)) {
    const [, base = '', limit = '', name = ''] = match;
    if (WINDOW.test(name) || name.includes('[disabled]') || BigInt(`0x${base}`) > BigInt(`0x${limit}`)) continue;
    ranges.add(`${hex(BigInt(`0x${base}`))}-${hex(BigInt(`0x${limit}`))}`);
  }
  return ranges;
}
