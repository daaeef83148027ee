import { AddressRange } from '../address/range.js';
import type { SeenBar, SeenFunction, Topology } from '../enumerate/topology.js';
import {
  eachFunction,
  noReserve,
  type Bar,
  type BarType,
  type Bridge,
  type HostBridge,
  type HostWindow,
  type Machine,
  type MachineFunction,
} from '../machine/model.js';
import { place, type PlaceOptions } from '../place/place.js';
import type { Plan } from '../place/plan.js';
import { planOf } from './pin.js';

/** A plan that leaves as much as it can where firmware has put it. */
export interface Adopted {
  readonly plan: Plan;
  /** Ids of functions on root buses that, with all behind them, were placed anew though nothing there is pinned. */
  readonly moved: readonly string[];
}

/**
 * Places a machine that firmware has placed before: what lies behind root ports without a pin stays as it is, windows and
 * all, and the rest is placed anew, no lower than where firmware began. So a firmware that knows its own windows only, as OVMF
 * does, reaches its devices afterwards. Where a pin needs the place of something else, that is placed anew, too.
 * @param topology as firmware left it
 * @param wanted the machine that was made of it, with what the user pins
 * @param roomFor ids of bridges behind which the user wants room: they are placed anew as if something were pinned there
 * @throws Problem `no-plan` (exit 2) where there is none even if nothing stays
 */
export function adopt(
  topology: Topology,
  wanted: Machine,
  roomFor: ReadonlySet<string> = new Set(),
  options: PlaceOptions = {},
): Adopted {
  const branches = branchesOf(topology, wanted, roomFor);
  const free = branches.filter(({ isAsked }) => isAsked);
  const kept = new Set(branches.filter((one) => !free.includes(one)));
  for (const narrow of [true, false]) {
    for (;;) {
      const result = place(machineWith(wanted, branches, kept, narrow), { ...options, remedies: false });
      if (result.status === 'placed') return adopted(result, wanted, branches, kept);
      const named = new Set(result.status === 'infeasible' ? result.conflict.constraints.map(({ id }) => id) : []);
      const inTheWay = [...kept].filter(({ ids }) => ids.some((id) => named.has(id)));
      if (inTheWay.length === 0) break;
      for (const one of inTheWay) kept.delete(one);
    }
  }
  kept.clear();
  return adopted(planOf(wanted, options), wanted, branches, kept);
}

/** A function of a root bus, and all that lies behind it. */
interface Branch {
  readonly host: HostBridge;
  readonly fn: MachineFunction;
  readonly seen: SeenFunction;
  readonly ids: readonly string[];
  /** The user pins something in it, or wants room in it. */
  readonly isAsked: boolean;
}

function branchesOf(topology: Topology, wanted: Machine, roomFor: ReadonlySet<string>): Branch[] {
  return wanted.hostBridges.flatMap((host, i) =>
    host.functions.flatMap((fn, n) => {
      const seen = topology.hosts[i]?.functions[n];
      const all = [...eachFunction([fn])].map((one) => one.fn);
      return seen
        ? [
            {
              host,
              fn,
              seen,
              ids: all.map(({ id }) => id),
              isAsked: all.some((one) => asksFor(one) || roomFor.has(one.id)),
            },
          ]
        : [];
    }),
  );
}

const isPinned = ({ pin }: { readonly pin?: bigint }) => pin !== undefined;

const asksFor = ({ bars, rom, sriov, bridge }: MachineFunction): boolean =>
  bars.some(isPinned) ||
  (rom !== undefined && isPinned(rom)) ||
  (sriov?.bars ?? []).some(isPinned) ||
  Object.values(bridge?.pin ?? {}).some((one) => one !== undefined);

function machineWith(
  wanted: Machine,
  branches: readonly Branch[],
  kept: ReadonlySet<Branch>,
  narrow: boolean,
): Machine {
  return {
    ...wanted,
    hostBridges: wanted.hostBridges.map((host) => ({
      ...host,
      windows: narrow ? narrowed(host, branches) : host.windows,
      functions: host.functions.map((fn) => {
        const branch = branches.find((one) => one.fn === fn);
        return branch && kept.has(branch) ? asSeen(fn, branch.seen, host) : fn;
      }),
    })),
  };
}

/** A function with everything pinned where firmware has it, as far as that is a place for it. */
function asSeen(fn: MachineFunction, seen: SeenFunction, host: HostBridge): MachineFunction {
  const bars = (list: readonly Bar[], all: readonly SeenBar[], count = 1n) =>
    list.map((bar): Bar => {
      const address = all.find(({ index }) => index === bar.index)?.address ?? 0n;
      return isPlace(host, bar, address, count) ? { ...bar, pin: address } : bar;
    });
  const { bridge, sriov } = fn;
  return {
    ...fn,
    bars: bars(fn.bars, seen.bars),
    ...(sriov ? { sriov: { ...sriov, bars: bars(sriov.bars, seen.sriov?.bars ?? [], BigInt(sriov.totalVfs)) } } : {}),
    ...(bridge && seen.bridge ? { bridge: bridgeAsSeen(bridge, seen.bridge, host) } : {}),
  };
}

function bridgeAsSeen(bridge: Bridge, seen: NonNullable<SeenFunction['bridge']>, host: HostBridge): Bridge {
  const { io, memory, prefetchable } = seen.windows;
  const fits = (types: readonly BarType[], range: AddressRange | null): range is AddressRange =>
    range !== null && windowOf(host, types, range) !== undefined;
  return {
    ...bridge,
    // What firmware has kept free lies in the windows as they are.
    reserve: noReserve,
    pin: {
      ...(bridge.io && fits(['io'], io) ? { io } : {}),
      ...(fits(['mem32'], memory) ? { memory } : {}),
      ...(bridge.prefetchable && fits(['mem32', 'mem64'], prefetchable) ? { prefetchable } : {}),
    },
    functions: bridge.functions.map((fn, i) => {
      const child = seen.functions[i];
      return child ? asSeen(fn, child, host) : fn;
    }),
  };
}

const windowOf = (host: HostBridge, types: readonly BarType[], range: AddressRange): HostWindow | undefined =>
  host.windows.find(({ type, base, size }) => types.includes(type) && AddressRange.sized(base, size).covers(range));

/** Whether firmware has given a BAR this address, and left it at that. */
function isPlace(host: HostBridge, { type, size }: Bar, address: bigint, count: bigint): boolean {
  if (address === 0n || address % size !== 0n || count === 0n) return false;
  const types: readonly BarType[] = type === 'mem64' ? ['mem32', 'mem64'] : [type];
  return windowOf(host, types, AddressRange.sized(address, size * count)) !== undefined;
}

/**
 * Host bridge windows from the lowest address on that firmware uses in them, or that is pinned; without those in which it
 * uses nothing though it uses others of the type.
 */
function narrowed(host: HostBridge, branches: readonly Branch[]): HostWindow[] {
  const own = branches.filter((branch) => branch.host === host);
  const asked = own.flatMap(({ fn }) => addressesOf(fn));
  const used = [...own.flatMap(({ fn, seen }) => addressesOf(asSeen(fn, seen, host))), ...asked];
  const inside = ({ base, size }: HostWindow) =>
    used.filter((address) => AddressRange.sized(base, size).contains(address));
  return host.windows.flatMap((window) => {
    const lowest = inside(window).reduce<bigint | undefined>(
      (least, address) => (least === undefined || address < least ? address : least),
      undefined,
    );
    if (lowest === undefined) {
      const others = host.windows.filter((one) => one !== window && one.type === window.type);
      return others.some((one) => inside(one).length > 0) ? [] : [window];
    }
    const skip = lowest - window.base;
    return [{ ...window, base: lowest, cpuBase: window.cpuBase + skip, size: window.size - skip }];
  });
}

/** Where something is pinned in a branch. */
const addressesOf = (branch: MachineFunction): bigint[] =>
  [...eachFunction([branch])].flatMap(({ fn: { bars, rom, sriov, bridge } }) => [
    ...[...bars, ...(rom ? [rom] : []), ...(sriov?.bars ?? [])].flatMap(({ pin }) => pin ?? []),
    ...[bridge?.pin.io, bridge?.pin.memory, bridge?.pin.prefetchable].flatMap((range) => range?.base ?? []),
  ]);

/** The plan in the user's terms: pinned is what the user has pinned, and windows are as wide as the machine has them. */
function adopted(plan: Plan, wanted: Machine, branches: readonly Branch[], kept: ReadonlySet<Branch>): Adopted {
  const functions = new Map(
    wanted.hostBridges.flatMap((host) => [...eachFunction(host.functions)].map(({ fn }) => [fn.id, fn] as const)),
  );
  const pins = (list: readonly Bar[] | undefined) => new Set((list ?? []).filter(isPinned).map(({ index }) => index));
  return {
    plan: {
      ...plan,
      hostBridges: plan.hostBridges.map((host) => ({
        ...host,
        windows: wanted.hostBridges.find(({ id }) => id === host.id)?.windows ?? host.windows,
      })),
      functions: plan.functions.map((fn) => {
        const own = functions.get(fn.id);
        const [bars, vfBars] = [pins(own?.bars), pins(own?.sriov?.bars)];
        return {
          ...fn,
          bars: fn.bars.map((bar) => ({ ...bar, pinned: bars.has(bar.index) })),
          ...(fn.sriov
            ? { sriov: { bars: fn.sriov.bars.map((bar) => ({ ...bar, pinned: vfBars.has(bar.index) })) } }
            : {}),
        };
      }),
    },
    moved: branches.filter((one) => !one.isAsked && !kept.has(one)).map(({ fn }) => fn.id),
  };
}
