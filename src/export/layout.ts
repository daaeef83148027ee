import {
  eachFunction,
  type HostBridge,
  type HostWindow,
  type Machine,
  type MachineFunction,
} from '../machine/model.js';
import { deviceFunction, formatBdf, type Bdf } from '../pci/bdf.js';
import type { Plan, PlannedBridge, PlannedFunction, PlannedHostBridge } from '../place/plan.js';
import { Problem } from '../problem/problem.js';

/** A function of a plan in its place in the tree, with what the machine file says of it. */
export interface PlacedFunction {
  readonly id: string;
  readonly address: Bdf;
  readonly planned: PlannedFunction;
  /** As the machine has it; undefined where there is only a plan. */
  readonly wanted: MachineFunction | undefined;
  /** The bridge above; null on a root bus. */
  readonly parent: PlacedFunction | null;
  readonly bridge: PlannedBridge | undefined;
  /** What lies on the secondary bus, in order of address. */
  readonly children: readonly PlacedFunction[];
}

export interface PlacedHost {
  readonly planned: PlannedHostBridge;
  readonly wanted: HostBridge | undefined;
  readonly functions: readonly PlacedFunction[];
}

/**
 * A plan as a tree. Functions are joined with those of the machine by id.
 * @throws Problem `export-mismatch` where plan and machine are not of each other, `export-plan` where a function of the
 *   plan lies on no bus of it
 */
export function layoutOf(plan: Plan, machine?: Machine): PlacedHost[] {
  const wanted = new Map<string, MachineFunction>();
  for (const host of machine?.hostBridges ?? [])
    for (const { fn } of eachFunction(host.functions)) wanted.set(fn.id, fn);
  const bridges = new Map(plan.bridges.map((bridge) => [bridge.id, bridge]));
  const onBus = new Map<number, PlannedFunction[]>();
  for (const fn of plan.functions) {
    const key = busKey(fn.address);
    const there = onBus.get(key);
    if (there) there.push(fn);
    else onBus.set(key, [fn]);
  }
  let count = 0;
  const walk = (segment: number, bus: number, parent: PlacedFunction | null): PlacedFunction[] =>
    (onBus.get(busKey({ segment, bus })) ?? []).map((planned) => {
      count++;
      const { id, address } = planned;
      const bridge = bridges.get(id);
      const own = { id, address, planned, wanted: wanted.get(id), parent, bridge, children: [] as PlacedFunction[] };
      if (machine) compare(own, planned, bridge);
      // A secondary bus lies above its bridge's own, so that the walk ends.
      if (bridge && bridge.secondary > bus) own.children.push(...walk(segment, bridge.secondary, own));
      return own;
    });
  const hosts = plan.hostBridges.map((planned): PlacedHost => ({
    planned,
    wanted: machine?.hostBridges.find(({ id }) => id === planned.id),
    functions: walk(planned.segment, planned.buses[0], null),
  }));
  if (count !== plan.functions.length) {
    const reached = new Set(hosts.flatMap(({ functions }) => [...eachPlaced(functions)].map(({ id }) => id)));
    const lost = plan.functions.find(({ id }) => !reached.has(id));
    throw new Problem(
      'export-plan',
      lost
        ? `${lost.id} is at ${formatBdf(lost.address)}, and no bridge or host bridge of the plan leads to that bus`
        : 'two bridges of the plan lead to the same bus',
      { hint: 'give a plan as pinbar wrote it' },
    );
  }
  if (machine && wanted.size !== count) {
    const planned = new Set(plan.functions.map(({ id }) => id));
    throw mismatch(
      `the machine has ${[...wanted.keys()].find((id) => !planned.has(id)) ?? 'a function'}, and the plan has not`,
    );
  }
  return hosts;
}

const busKey = ({ segment, bus }: Pick<Bdf, 'segment' | 'bus'>) => segment * 0x100 + bus;

const mismatch = (message: string) =>
  new Problem('export-mismatch', message, { hint: 'give the machine file that the plan was made of' });

function compare(at: PlacedFunction, planned: PlannedFunction, bridge: PlannedBridge | undefined): void {
  const { id, wanted } = at;
  if (!wanted) throw mismatch(`the plan has ${id}, and the machine has not`);
  if (deviceFunction(wanted.slot) !== deviceFunction(planned.address)) {
    throw mismatch(`${id} is at ${formatBdf(planned.address)} in the plan, and not in that slot in the machine`);
  }
  if ((wanted.bridge === undefined) !== (bridge === undefined)) {
    throw mismatch(`${id} is a bridge in the ${bridge ? 'plan' : 'machine'} alone`);
  }
  const bars = (list: readonly { index: number; type: string; size: bigint }[]) =>
    list.map(({ index, type, size }) => `${index} ${type} ${size}`).join();
  if (bars(wanted.bars) !== bars(planned.bars)) throw mismatch(`${id} has other BARs in the plan than in the machine`);
}

/**
 * The windows of a host bridge. Where the CPU sees its ports is said by the machine alone, so that without one there is no I/O
 * window; `notes` says so.
 */
export function hostWindows({ planned, wanted }: PlacedHost): { windows: readonly HostWindow[]; notes: string[] } {
  if (wanted) return { windows: wanted.windows, notes: [] };
  const windows = planned.windows.filter(({ type }) => type !== 'io');
  const none = windows.length === planned.windows.length;
  const note = `where the CPU sees the I/O window of ${planned.id} is not in a plan: it is left out; --machine FILE says it`;
  return { windows, notes: none ? [] : [note] };
}

/** Every function, depth first in bus order: bridges before what lies behind them. */
export function* eachPlaced(functions: readonly PlacedFunction[]): Generator<PlacedFunction> {
  for (const fn of functions) {
    yield fn;
    yield* eachPlaced(fn.children);
  }
}

/** All functions of all host bridges, in the same order. */
export const allPlaced = (hosts: readonly PlacedHost[]): PlacedFunction[] =>
  hosts.flatMap(({ functions }) => [...eachPlaced(functions)]);

/**
 * The machine, for formats that need to know the board or the kinds of ports.
 * @throws Problem `export-needs-machine`
 */
export function requireMachine(machine: Machine | undefined, why: string): Machine {
  if (machine) return machine;
  throw new Problem('export-needs-machine', `a plan alone does not say ${why}`, {
    hint: 'add --machine FILE, the machine file that the plan was made of; or give the machine file in the place of the plan',
  });
}
