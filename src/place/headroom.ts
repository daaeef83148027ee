import { alignUp, maxOf, minOf } from '../address/align.js';
import { FOUR_GIB, type BusAddress, type Size } from '../address/kinds.js';
import { AddressRange } from '../address/range.js';
import { RangeSet } from '../address/range-set.js';
import {
  eachFunction,
  noReserve,
  type Bar,
  type BarType,
  type HostBridge,
  type HostWindow,
  type Machine,
  type MachineFunction,
} from '../machine/model.js';
import { withBridge, withHost } from './changes.js';
import { place, type PlaceOptions } from './place.js';
import type { Plan, PlannedBridge } from './plan.js';
import { withSizes } from './resize.js';
import { segmentsOf } from './segments.js';
import { heldTo, isBus, isWindow, staysOf } from './stay.js';

/** How much room a plan leaves. Sizes are bytes; `undefined`: the search did not find out within its limit. */
export interface Headroom {
  readonly windows: readonly WindowHeadroom[];
  readonly buses: readonly BusHeadroom[];
  readonly ports: readonly PortHeadroom[];
}

/** Of a host bridge window. */
export interface WindowHeadroom {
  /** The host bridge. */
  readonly id: string;
  readonly type: BarType;
  readonly base: BusAddress;
  readonly size: Size;
  /** What neither the plan nor RAM or a reserved range takes. */
  readonly free: Size;
  /** The largest BAR that fits into what is free as it lies, and that there can be of the type; 0n where none does. */
  readonly largest: Size;
  /** The least size of the window, counted from its base, with which the machine still has a plan; in steps of 4 KiB. */
  readonly least: Size | undefined;
}

/** Bus numbers of a host bridge. */
export interface BusHeadroom {
  readonly id: string;
  readonly used: readonly [number, number];
  readonly range: readonly [number, number];
}

/** The largest BARs that a device plugged in behind a port could have; 0n where none. */
export interface PortHeadroom {
  readonly id: string;
  /** Within the port's windows as they are. */
  readonly asIs: Fits;
  /** If the windows of the port, and those of the bridges above it, grow; nothing else moves. */
  readonly grown: { readonly [K in keyof Fits]: Fits[K] | undefined };
}

export interface Fits {
  /** A 32-bit BAR that is not prefetchable. */
  readonly memory: Size;
  /** A 64-bit prefetchable BAR. */
  readonly prefetchable: Size;
}

/** The steps of one question. */
const QUESTION_STEPS = 20_000;
/** The smallest BAR of memory that is asked for. */
const SMALLEST = 4096n;
/** What bridge windows of ports come in, and the least that a window is made smaller by. */
const STEP = 4096n;
/** A BAR of ports takes at most 256 of them (PCI Local Bus 3.0 §6.2.5.1); a 32-bit one of memory needs a bit for its address. */
const LARGEST = { io: 256n, mem32: 1n << 31n, mem64: 1n << 63n } as const;

/**
 * What is left beside a plan of `machine`, and how close the plan is to there being none. Solves many times: the steps of
 * `options` are for each question, and of those there are some dozens for each window and port.
 */
export function headroomOf(machine: Machine, plan: Plan, options: Pick<PlaceOptions, 'steps' | 'stop'> = {}): Headroom {
  const whole = asPlanned(machine, plan);
  const solves = (changed: Machine): boolean | undefined => {
    const { steps = QUESTION_STEPS, stop } = options;
    if (stop?.()) return undefined;
    const { status } = place(changed, { steps, remedies: false, ...(stop ? { stop } : {}) });
    return status === 'undecided' ? undefined : status === 'placed';
  };
  return {
    windows: whole.hostBridges.flatMap((host, i) =>
      host.windows.map((window) => ({
        ...roomIn(whole, plan, i, window),
        least: leastSize(whole, host, window, solves),
      })),
    ),
    buses: whole.hostBridges.map(({ id, buses }, i) => ({
      id,
      used: plan.hostBridges[i]?.buses ?? buses,
      range: buses,
    })),
    ports: portsOf(whole).map((port) => portHeadroom(whole, plan, port, solves)),
  };
}

type Solves = (machine: Machine) => boolean | undefined;

/** The machine with the sizes that the plan has chosen. */
function asPlanned(machine: Machine, plan: Plan): Machine {
  const functions = new Map(plan.functions.map((fn) => [fn.id, fn]));
  return withSizes(machine, ({ id }, subject, bar) => {
    const planned = functions.get(id);
    const bars = typeof subject === 'number' ? planned?.bars : planned?.sriov?.bars;
    return bars?.find(({ index }) => index === bar.index)?.size ?? bar.size;
  });
}

/** What lies on root buses, of ports or of memory: BARs, ROMs, VF BAR groups, bridge windows. */
function takenBy(plan: Plan, host: HostBridge, behind: (bus: number) => boolean, io: boolean): AddressRange[] {
  const here = ({ segment, bus }: { segment: number; bus: number }) => segment === host.segment && behind(bus);
  return [
    ...plan.functions
      .filter(({ address }) => here(address))
      .flatMap(({ bars, rom, sriov }) => [
        ...bars.filter(({ type }) => (type === 'io') === io).map((bar) => AddressRange.sized(bar.address, bar.size)),
        ...(rom && !io ? [AddressRange.sized(rom.address, rom.size)] : []),
        ...(io ? [] : (sriov?.bars ?? [])).map((bar) => AddressRange.sized(bar.address, bar.size * BigInt(bar.count))),
      ]),
    ...plan.bridges
      .filter(({ address }) => here(address))
      .flatMap(({ io: ports, memory, prefetchable }) =>
        (io ? [ports] : [memory, prefetchable]).flatMap((one) => one ?? []),
      ),
  ];
}

function roomIn(machine: Machine, plan: Plan, index: number, window: HostWindow): Omit<WindowHeadroom, 'least'> {
  const host = machine.hostBridges[index];
  const io = window.type === 'io';
  const { base, size, type } = window;
  const usable = segmentsOf(machine, io ? 'io' : 'memory')
    .filter((segment) => segment.host === index && segment.window === window)
    .map(({ base: from, limit }) => AddressRange.of(from, limit));
  const root = plan.hostBridges[index]?.buses[0] ?? 0;
  const taken = host ? takenBy(plan, host, (bus) => bus === root, io) : [];
  const free = RangeSet.of(usable).subtract(taken);
  return { id: host?.id ?? '', type, base, size, free: free.size, largest: largestIn(free, type) };
}

/** The largest BAR of a type with a multiple of its size in one of the ranges. */
function largestIn(free: RangeSet, type: BarType): Size {
  const [least, most] = [type === 'io' ? 4n : 16n, LARGEST[type]];
  let best = 0n;
  for (const { base, limit } of free) {
    const end = type === 'mem64' ? limit : minOf(limit, FOUR_GIB - 1n);
    const fits = (size: Size) => size <= most && alignUp(base, size) + size - 1n <= end;
    for (let size = maxOf(best * 2n, least); fits(size); size *= 2n) best = size;
  }
  return best;
}

/** The least number of steps from `low` on that works, where more steps do not make it worse; `high` is known to work. */
function leastOf(low: bigint, high: bigint, works: (value: bigint) => boolean | undefined): bigint | undefined {
  while (low < high) {
    const middle = (low + high) / 2n;
    const found = works(middle);
    if (found === undefined) return undefined;
    if (found) high = middle;
    else low = middle + 1n;
  }
  return high;
}

function leastSize(machine: Machine, host: HostBridge, window: HostWindow, solves: Solves): Size | undefined {
  const shrunk = (size: Size): Machine =>
    withHost(machine, host.id, (one) => ({
      ...one,
      windows: one.windows.flatMap((other) => {
        if (other !== window) return [other];
        return size === 0n ? [] : [{ ...other, size }];
      }),
    }));
  const least = leastOf(0n, (window.size + STEP - 1n) / STEP, (steps) =>
    solves(shrunk(minOf(steps * STEP, window.size))),
  );
  return least === undefined ? undefined : minOf(least * STEP, window.size);
}

/** Ports whose slot can take a device while the machine runs. */
const portsOf = (machine: Machine): MachineFunction[] =>
  machine.hostBridges.flatMap(({ functions }) =>
    [...eachFunction(functions)].flatMap(({ fn }) =>
      fn.bridge && (fn.bridge.hotplug !== 'none' || fn.bridge.functions.length === 0) ? [fn] : [],
    ),
  );

function portHeadroom(machine: Machine, plan: Plan, port: MachineFunction, solves: Solves): PortHeadroom {
  const planned = plan.bridges.find(({ id }) => id === port.id);
  const asIs = planned ? fitsAsIs(machine, plan, planned) : { memory: 0n, prefetchable: 0n };
  const grow = (kind: keyof Fits): Size | undefined => {
    const open = opened(machine, plan, port);
    const most = kind === 'memory' ? 31n : 62n;
    // The exponent counted down: the larger the BAR, the less it fits.
    const exponent = (left: bigint) => most - left;
    const least = most + 1n - BigInt(SMALLEST.toString(2).length - 1);
    const left = leastOf(0n, least, (some) => solves(withDevice(open, port, kind, 1n << exponent(some))));
    return left === undefined ? undefined : left === least ? 0n : 1n << exponent(left);
  };
  const at = (kind: keyof Fits) => {
    const size = grow(kind);
    return size === undefined ? undefined : maxOf(size, asIs[kind]);
  };
  return { id: port.id, asIs, grown: { memory: at('memory'), prefetchable: at('prefetchable') } };
}

function fitsAsIs(machine: Machine, plan: Plan, bridge: PlannedBridge): Fits {
  const host = machine.hostBridges.find(
    (one, i) =>
      one.segment === bridge.address.segment && within(bridge.primary, plan.hostBridges[i]?.buses ?? one.buses),
  );
  const taken = host ? takenBy(plan, host, (bus) => bus === bridge.secondary, false) : [];
  const largest = (window: AddressRange | null, type: BarType) =>
    window ? largestIn(RangeSet.of([window]).subtract(taken), type) : 0n;
  const memory = largest(bridge.memory, 'mem32');
  return { memory, prefetchable: maxOf(memory, largest(bridge.prefetchable, 'mem64')) };
}

const within = (bus: number, [first, last]: readonly [number, number]): boolean => first <= bus && bus <= last;

/** The machine with everything where the plan has it, but the windows of a port and of the bridges above it. */
function opened(machine: Machine, plan: Plan, port: MachineFunction): Machine {
  const above = new Set<string>([port.id]);
  const climb = (functions: readonly MachineFunction[]): boolean =>
    functions.some((fn) => {
      const found = fn === port || (fn.bridge !== undefined && climb(fn.bridge.functions));
      if (found) above.add(fn.id);
      return found;
    });
  machine.hostBridges.some(({ functions }) => climb(functions));
  const stays = staysOf(machine, plan).filter((stay) => isBus(stay) || !isWindow(stay) || !above.has(stay.id));
  // The room that the port keeps is what the device gets.
  return withBridge(heldTo(machine, stays), port.id, (bridge) => ({ ...bridge, reserve: noReserve }));
}

/** The machine with a device behind a port that has one BAR of this size. */
function withDevice(machine: Machine, port: MachineFunction, kind: keyof Fits, size: Size): Machine {
  const bar: Bar =
    kind === 'memory'
      ? { index: 0, type: 'mem32', prefetchable: false, size }
      : { index: 0, type: 'mem64', prefetchable: true, size };
  // Placement does not ask whether the slot is free; ids are never empty, so this is a new one.
  const device: MachineFunction = { id: '', slot: { device: 31, fn: 7 }, bars: [bar] };
  return withBridge(machine, port.id, (bridge) => ({ ...bridge, functions: [...bridge.functions, device] }));
}
