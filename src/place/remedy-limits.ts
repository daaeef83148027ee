import { alignDown, alignUp } from '../address/align.js';
import { formatQemuSize, formatSize, hex } from '../address/format.js';
import { ADDRESS_SPACE, FOUR_GIB, GiB, MiB } from '../address/kinds.js';
import { AddressRange } from '../address/range.js';
import { RangeSet } from '../address/range-set.js';
import type { HostBridge, HostWindow, Machine, MachineFunction } from '../machine/model.js';
import { findBoard } from '../machine/boards/boards.js';
import { isSince } from '../machine/boards/release.js';
import { Problem } from '../problem/problem.js';
import { withBridge, withHost } from './changes.js';
import type { ReservedClaim } from './claims.js';
import type { Core } from './conflict.js';
import { factsOf, isFunctionClaim, windowName } from './names.js';
import type { Attempt } from './candidate.js';

/** What the machine is like, changed: windows, address bits, bus ranges, RAM, an option of the machine file. */
export function* limitRemedies(machine: Machine, core: Core): Iterable<Attempt> {
  yield exception(machine, core);
  for (const one of core.background) {
    if (one.kind === 'window') {
      yield boardOption(machine, one.host, one.window);
      yield largerWindow(machine, one.host, one.window);
    } else if (one.kind === 'address-bits') yield moreBits(machine, one.bits);
    else if (one.kind === 'bus-range') yield moreBuses(machine, one.host);
    else yield widerBridge(machine, one.fn);
  }
  for (const claim of core.claims) if (claim.kind === 'reserved') yield clearance(machine, core, claim);
}

/** PCI Express Base 6.0 §7.5.1.2.1: a non-prefetchable BAR may lie in a prefetchable window under conditions. */
function* exception(machine: Machine, core: Core): Attempt {
  if (machine.allowNonPrefetchableInPrefetchable) return;
  const asked = core.claims.some((claim) => {
    const facts = isFunctionClaim(claim) ? factsOf(claim) : undefined;
    return facts?.type === 'mem64' && !facts.prefetchable;
  });
  if (!asked) return;
  const change =
    'set machine.allowNonPrefetchableInPrefetchable: true, if all is PCI Express from the device to the root port and nothing merges writes';
  yield { change, machine: { ...machine, allowNonPrefetchableInPrefetchable: true } };
}

/** `highmem-mmio-size` of aarch64 virt, QEMU 10.0 and later: a power of two, and the window lies at a multiple of it. */
function* boardOption(machine: Machine, host: HostBridge, window: HostWindow): Attempt {
  const board = findBoard(machine.board, machine.arch);
  const known = board?.properties.some(({ name }) => name === 'highmem-mmio-size') ?? false;
  if (!board || !known || window.type !== 'mem64' || !isSince(machine.qemu, [10, 0])) return;
  const ram = machine.ram.reduce((sum, range) => sum + range.size, 0n);
  const most = 1n << BigInt((machine.physicalAddressBits ?? 52) - 1);
  for (let size = window.size * 2n; size <= most; size *= 2n) {
    const properties = { ...machine.properties, 'highmem-mmio-size': hex(size) };
    let high: HostWindow | undefined;
    try {
      high = board.map({ ram, properties, qemu: machine.qemu }).hostBridge.windows.find(({ type }) => type === 'mem64');
    } catch (error) {
      if (error instanceof Problem || error instanceof RangeError) return;
      throw error;
    }
    if (!high) return;
    const change = `set the machine property highmem-mmio-size=${formatQemuSize(size)} (QEMU 10.0 or later): the 64-bit window is then ${hex(high.base)}-${hex(high.base + high.size - 1n)}`;
    const changed = withWindow(machine, host, window, high);
    yield { change, machine: { ...changed, properties } };
  }
}

/** Only where the machine file, and no board, says what the windows are. */
function* largerWindow(machine: Machine, host: HostBridge, window: HostWindow): Attempt {
  if (findBoard(machine.board, machine.arch)) return;
  const most = window.type === 'mem64' ? ADDRESS_SPACE : FOUR_GIB;
  const change = (wider: HostWindow) =>
    `let ${windowName(window)} of ${host.id} be ${hex(wider.base)}-${hex(wider.base + wider.size - 1n)} (${formatSize(wider.size)})`;
  for (let step = window.type === 'io' ? 0x1000n : MiB; step <= most; step *= 2n) {
    const end = alignUp(window.base + window.size, step);
    const up = { ...window, size: end - window.base };
    if (end <= most && up.size > window.size)
      yield { change: change(up), machine: withWindow(machine, host, window, up) };
    const base = alignDown(window.base, step);
    const down = {
      ...window,
      base,
      size: window.base + window.size - base,
      cpuBase: window.cpuBase - window.base + base,
    };
    if (down.size > window.size && down.cpuBase >= 0n) {
      yield { change: change(down), machine: withWindow(machine, host, window, down) };
    }
  }
}

const withWindow = (machine: Machine, host: HostBridge, from: HostWindow, to: HostWindow): Machine =>
  withHost(machine, host.id, (one) => ({
    ...one,
    windows: one.windows.map((window) => (window === from ? to : window)),
  }));

/** A bridge that decodes more, in place of one that decodes less. */
function* widerBridge(machine: Machine, { id, bridge }: MachineFunction): Attempt {
  if (!bridge) return;
  const { io, prefetchable } = bridge;
  if (io !== 32) {
    const change = `use a bridge with a 32-bit I/O window for ${id}${io === 0 ? ', which has none' : ' instead of a 16-bit one'}`;
    yield { change, machine: withBridge(machine, id, (one) => ({ ...one, io: 32 })) };
  }
  if (prefetchable !== 64) {
    const change = `use a bridge with a 64-bit prefetchable window for ${id}${prefetchable === 0 ? ', which has none' : ' instead of a 32-bit one'}`;
    yield { change, machine: withBridge(machine, id, (one) => ({ ...one, prefetchable: 64 })) };
  }
}

function* moreBits(machine: Machine, bits: number): Attempt {
  for (let more = bits + 1; more <= 64; more++) {
    const change = `use a CPU with ${more} physical address bits instead of ${bits}`;
    yield { change, machine: { ...machine, physicalAddressBits: more } };
  }
}

function* moreBuses(machine: Machine, host: HostBridge): Attempt {
  for (const last of [31, 63, 127, 255]) {
    if (last <= host.buses[1]) continue;
    const change = `let ${host.id} use buses ${host.buses[0]} to ${last}, if its ECAM is that large`;
    yield { change, machine: withHost(machine, host.id, (one) => ({ ...one, buses: [one.buses[0], last] })) };
  }
}

/** RAM cut out under the pins that it meets, in whole GiB where that does; a reserved range given up. */
function* clearance(machine: Machine, core: Core, claim: ReservedClaim): Attempt {
  if (claim.reason !== 'RAM') {
    const change = `give up the reserved range ${claim.range.toString()} (${claim.reason}), if nothing needs it`;
    yield { change, machine: { ...machine, reserved: machine.reserved.filter(({ range }) => range !== claim.range) } };
    return;
  }
  const pins = core.claims.filter(isFunctionClaim).flatMap((one) => {
    const facts = factsOf(one);
    return facts?.pin === undefined ? [] : [{ base: facts.pin, limit: facts.pin + facts.size - 1n }];
  });
  for (const step of [GiB, MiB]) {
    const holes = pins.map(({ base, limit }) => AddressRange.of(alignDown(base, step), alignUp(limit + 1n, step) - 1n));
    const ram = RangeSet.of(machine.ram).subtract(holes).ranges;
    const change = `split the RAM so that none lies at ${holes.map(String).join(', ')} (machine.ram as a list, or --split-ram)`;
    yield { change, machine: { ...machine, ram } };
  }
}
