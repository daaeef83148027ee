import { alignDown, alignUp, maxOf, minOf } from '../address/align.js';
import { roughSize } from '../address/format.js';
import { ADDRESS_SPACE, FOUR_GIB, MiB } from '../address/kinds.js';
import { AddressRange as Range } from '../address/range.js';
import { RangeSet } from '../address/range-set.js';
import type { Bridge, HostBridge, HostWindow, Machine, MachineFunction } from '../machine/model.js';
import type { Attempt, Candidate } from './candidate.js';
import { either, firstOf, leastOf } from './candidate.js';
import { withFunctions, withHost } from './changes.js';
import type { Core } from './conflict.js';
import { article, isFunctionClaim, listed, spanOf, windowName } from './names.js';
import type { Need } from './needs.js';
import { shapeOf, Sites } from './needs.js';
import { hasBoardsBuses, isBoardsOwn, mostBits } from './remedy-board.js';

/** What the machine is like, changed: windows, address bits, bus ranges, bridges, an option of the machine file. */
export function* limitRemedies(machine: Machine, core: Core): Iterable<Attempt> {
  yield firstOf(exception(machine, core));
  for (const one of core.background) {
    if (one.kind === 'window') yield largerWindow(machine, one.host, one.window);
    else if (one.kind === 'address-bits') yield leastOf(moreBits(machine, one.bits));
    else if (one.kind === 'bus-range') yield leastOf(moreBuses(machine, one.host));
  }
  if (core.field === 'buses') return;
  const needs = new Sites(machine).needsOf(core.claims, core.field);
  yield firstOf(widerBridges(machine, needs, core.field));
  for (const need of needs) yield firstOf(missingWindow(machine, need, core.field));
}

/** PCI Express Base 6.0 §7.5.1.2.1: a non-prefetchable BAR may lie in a prefetchable window under conditions. */
function* exception(machine: Machine, core: Core): Iterable<Candidate> {
  if (machine.allowNonPrefetchableInPrefetchable) return;
  const asked = core.claims.some((claim) => {
    const shape = isFunctionClaim(claim) ? shapeOf(claim) : undefined;
    return shape?.type === 'mem64' && !shape.prefetchable;
  });
  if (!asked) return;
  const change =
    'set machine.allowNonPrefetchableInPrefetchable: true, if all is PCI Express from the device to the root port and nothing merges writes';
  yield { change, machine: { ...machine, allowNonPrefetchableInPrefetchable: true } };
}

/** Upwards, or where that does not help downwards; not where a board says what the windows are. */
function largerWindow(machine: Machine, host: HostBridge, window: HostWindow): Attempt {
  if (isBoardsOwn(machine, host)) return () => null;
  const { lower, upper } = roomAround(machine, host, window);
  const { base, size, cpuBase } = window;
  const steps: bigint[] = [];
  for (let step = window.type === 'io' ? 0x1000n : MiB; step < ADDRESS_SPACE; step *= 2n) steps.push(step);
  const ends = steps.map((step) => minOf(alignUp(base + size, step), upper));
  const starts = steps.map((step) => maxOf(alignDown(base, step), lower));
  const candidates = (bounds: readonly (readonly [bigint, bigint])[]): Candidate[] =>
    bounds
      .filter(
        ([from, to], i) => to - from > size && (i === 0 || from !== bounds[i - 1]?.[0] || to !== bounds[i - 1]?.[1]),
      )
      .map(([from, to]) => {
        const wider: HostWindow = { ...window, base: from, size: to - from, cpuBase: cpuBase - base + from };
        return {
          change: `let ${windowName(window)} of ${host.id} be ${spanOf({ base: from, limit: to - 1n })} (${roughSize(wider.size)})`,
          machine: withHost(machine, host.id, (one) => ({
            ...one,
            windows: one.windows.map((other) => (other === window ? wider : other)),
          })),
        };
      });
  return either(
    leastOf(candidates(ends.map((to) => [base, to]))),
    leastOf(candidates(starts.map((from) => [from, base + size]))),
  );
}

/** How far a window can grow before it meets RAM or another window, by bus address: first address, one past the last. */
function roomAround(machine: Machine, host: HostBridge, window: HostWindow): { lower: bigint; upper: bigint } {
  const shift = window.cpuBase - window.base;
  const others = machine.hostBridges.flatMap(({ id, windows }) =>
    windows
      .filter((other) => other !== window && (other.type === 'io') === (window.type === 'io'))
      .flatMap((other) => [
        Range.sized(other.cpuBase, other.size),
        ...(id === host.id ? [Range.sized(other.base + shift, other.size)] : []),
      ]),
  );
  const taken = window.type === 'io' ? others : [...others, ...machine.ram];
  const end = window.cpuBase + window.size;
  const isHigh = window.type === 'mem64' && window.base >= FOUR_GIB;
  const floor = isHigh ? FOUR_GIB : window.type === 'io' ? 0n : MiB;
  const most = minOf(window.type === 'mem64' ? ADDRESS_SPACE : FOUR_GIB, ADDRESS_SPACE - shift);
  return {
    lower: taken.reduce(
      (low, { limit }) => (limit < window.cpuBase ? maxOf(low, limit + 1n - shift) : low),
      maxOf(floor, -shift),
    ),
    upper: taken.reduce((high, { base }) => (base >= end ? minOf(high, base - shift) : high), most),
  };
}

/** A window of a kind that the host bridge has not: as large as what needs it, where nothing is. */
function* missingWindow(machine: Machine, need: Need, field: 'memory' | 'io'): Iterable<Candidate> {
  const host = machine.hostBridges[need.claim.host];
  const type = field === 'io' ? 'io' : need.onRoot.includes('mem64') ? 'mem64' : 'mem32';
  if (!host || isBoardsOwn(machine, host) || host.windows.some((window) => window.type === type)) return;
  const taken = machine.hostBridges.flatMap(({ windows }) =>
    windows
      .filter((window) => (window.type === 'io') === (type === 'io'))
      .flatMap(({ base, cpuBase, size }) => [Range.sized(cpuBase, size), Range.sized(base, size)]),
  );
  const blocked = type === 'io' ? taken : [...taken, ...machine.ram, ...machine.reserved.map(({ range }) => range)];
  const most =
    type === 'mem64' ? 1n << BigInt(machine.physicalAddressBits ?? 64) : type === 'io' ? 0x1_0000n : FOUR_GIB;
  const floor = type === 'mem64' ? FOUR_GIB : 0n;
  if (most <= floor) return;
  const free = RangeSet.of([Range.of(floor, most - 1n)]).subtract(blocked).ranges;
  for (
    let size = alignUp(need.size, type === 'io' ? 0x1000n : MiB), tries = 0;
    size <= most && tries < 8;
    size *= 2n, tries++
  ) {
    const step = powerAbove(size);
    const piece = free.find(({ base, limit }) => alignUp(base, step) + step - 1n <= limit);
    if (!piece) return;
    const base = alignUp(piece.base, step);
    const window: HostWindow = { type, base, size: step, cpuBase: base };
    yield {
      change: `give ${host.id} ${article(windowName(window).slice(4))} (${roughSize(step)})`,
      machine: withHost(machine, host.id, (one) => ({ ...one, windows: [...one.windows, window] })),
    };
  }
}

const powerAbove = (size: bigint): bigint => 1n << BigInt((size - 1n).toString(2).length);

/** Bridges that decode less than they might, above what asks for it: one of them exchanged, or all. */
function* widerBridges(machine: Machine, needs: readonly Need[], field: 'memory' | 'io'): Iterable<Candidate> {
  const bridges = [...new Set(needs.flatMap(({ above }) => above))].filter(({ bridge }) =>
    field === 'io' ? bridge && bridge.io < 32 : bridge && bridge.prefetchable < 64,
  );
  const wide: Partial<Bridge> = field === 'io' ? { io: 32 } : { prefetchable: 64 };
  const what = field === 'io' ? '32-bit I/O' : '64-bit prefetchable';
  const exchange = (some: readonly MachineFunction[]): Candidate => {
    const ids = new Set(some.map(({ id }) => id));
    const each = some.map(({ id, bridge }) => {
      const bits = field === 'io' ? bridge?.io : bridge?.prefetchable;
      return `${id} (${bits ? `${bits}-bit` : 'none'} now)`;
    });
    const change = `use ${some.length === 1 ? 'a bridge' : 'bridges'} with a ${what} window for ${listed(each)}`;
    return {
      change,
      machine: withFunctions(machine, (fn) => [
        ids.has(fn.id) && fn.bridge ? { ...fn, bridge: { ...fn.bridge, ...wide } } : fn,
      ]),
    };
  };
  for (const bridge of bridges) yield exchange([bridge]);
  if (bridges.length > 1) yield exchange(bridges);
}

function moreBits({ arch, ...machine }: Machine, bits: number): Candidate[] {
  const how = (more: number) => (arch === 'x86_64' ? ` (-cpu MODEL,phys-bits=${more})` : '');
  return Array.from({ length: Math.max(0, mostBits[arch] - bits) }, (_, i) => {
    const more = bits + 1 + i;
    const change = `use a CPU with ${more} physical address bits instead of ${bits}${how(more)}`;
    return { change, machine: { ...machine, arch, physicalAddressBits: more } };
  });
}

function moreBuses(machine: Machine, host: HostBridge): Candidate[] {
  if (hasBoardsBuses(machine, host)) return [];
  return Array.from({ length: 255 - host.buses[1] }, (_, i) => {
    const last = host.buses[1] + 1 + i;
    const change = `let ${host.id} use buses ${host.buses[0]} to ${last}, if its ECAM is that large`;
    return { change, machine: withHost(machine, host.id, (one) => ({ ...one, buses: [one.buses[0], last] })) };
  });
}
