import type { AddressRange } from '../address/range.js';
import { AddressRange as Range } from '../address/range.js';
import { RangeSet } from '../address/range-set.js';
import { ADDRESS_SPACE, FOUR_GIB } from '../address/kinds.js';
import { ascending, minOf } from '../address/align.js';
import type { BarType, HostBridge, HostWindow, Machine } from '../machine/model.js';

/**
 * A piece of a host bridge window that may be used: the window without reserved ranges, RAM and what the CPU cannot
 * address. What lies on a root bus lies in one segment.
 */
export interface Segment {
  /** Index of the host bridge in the machine. */
  readonly host: number;
  readonly type: BarType;
  readonly window: HostWindow;
  /** First and last bus address. */
  readonly base: bigint;
  readonly limit: bigint;
  /** CPU address minus bus address. */
  readonly shift: bigint;
}

/** Every usable segment of one kind of address space, ascending by CPU address (stable for equal ones). */
export function segmentsOf(machine: Machine, space: 'io' | 'memory'): Segment[] {
  const blocked = space === 'io' ? [] : [...machine.ram, ...machine.reserved.map((reserved) => reserved.range)];
  const cpuEnd =
    space === 'io' || machine.physicalAddressBits === undefined
      ? ADDRESS_SPACE
      : 1n << BigInt(machine.physicalAddressBits);
  return machine.hostBridges
    .flatMap((bridge, host) => hostSegments(bridge, host, space, blocked, cpuEnd))
    .sort((a, b) => ascending(a.base + a.shift, b.base + b.shift));
}

function hostSegments(
  bridge: HostBridge,
  host: number,
  space: 'io' | 'memory',
  blocked: readonly AddressRange[],
  cpuEnd: bigint,
): Segment[] {
  const found: Segment[] = [];
  // A bus address has one CPU address. Where windows of one host bridge say two, mem32 wins (all may use it), then the first.
  const order = bridge.windows
    .filter((window) => (window.type === 'io') === (space === 'io'))
    .sort((a, b) => Number(a.type === 'mem64') - Number(b.type === 'mem64'));
  for (const window of order) {
    const shift = window.cpuBase - window.base;
    const end = minOf(window.base + window.size, window.type === 'mem64' ? ADDRESS_SPACE : FOUR_GIB);
    const limit = minOf(end, cpuEnd - shift) - 1n;
    if (limit < window.base) continue;
    const aliased = found
      .filter((other) => other.shift !== shift)
      .map((other) => Range.sized(other.window.base, other.window.size));
    const seenByCpu = shift === 0n ? [] : blocked.flatMap((range) => moved(range, -shift) ?? []);
    const usable = RangeSet.of([Range.of(window.base, limit)]).subtract([...blocked, ...seenByCpu, ...aliased]);
    for (const { base, limit } of usable) found.push({ host, type: window.type, window, base, limit, shift });
  }
  return found;
}

/** `range` moved by `offset`, as far as it stays within 64 bits. */
function moved(range: AddressRange, offset: bigint): AddressRange | null {
  const base = range.base + offset;
  const limit = minOf(range.limit + offset, ADDRESS_SPACE - 1n);
  if (limit < 0n || base > limit) return null;
  return Range.of(base < 0n ? 0n : base, limit);
}
