import { AddressRange } from '../address/range.js';
import { enumerate } from '../enumerate/enumerate.js';
import { toMachine } from '../enumerate/to-machine.js';
import type { HostToScan, SeenFunction } from '../enumerate/topology.js';
import { eachFunction, type Machine, type MachineFunction, type Reserved } from '../machine/model.js';
import { formatBdf } from '../pci/bdf.js';
import { adopt } from '../pin/adopt.js';
import { keepPlan, onlyOf, without, type Changes } from '../pin/keep.js';
import { pin, planOf, type Pinned } from '../pin/pin.js';
import { applyMachineFile, applyPins } from '../pin/pins.js';
import { applyReserves } from '../pin/reserves.js';
import { within } from '../pin/time-limit.js';
import { place } from '../place/place.js';
import type { Plan } from '../place/plan.js';
import { program } from '../program/program.js';
import { programme } from '../program/programme.js';
import type { PinnableMachine } from './machines/machine.js';
import type { Qmp } from './qmp.js';
import { outside, queryPci, type QemuFunction } from './query-pci.js';
import type { Wanted } from './request.js';

type Notice = (text: string) => void;

/**
 * Enumerates, solves and programs a machine for the first time.
 * @throws Problem as {@link pin}; `pin-…`, `reserve-…`, `machine-file-…`
 */
export async function placeMachine(
  machine: PinnableMachine,
  qmp: Qmp,
  wanted: Wanted,
  notice: Notice,
): Promise<Pinned> {
  return pin(
    machine.access,
    machine.hosts,
    async (topology) => {
      const found = toMachine(topology, machine.base, { name: await namer(machine, qmp), reserveAsAsked: true });
      const asked = withWishes(found, wanted);
      return machine.constrain?.(asked, notice) ?? asked;
    },
    { place: within(wanted.timeLimit) },
  );
}

/**
 * Enumerates, solves and programs a machine that UEFI firmware has placed: what no pin needs stays where firmware put it.
 * @throws Problem as {@link placeMachine}
 */
export async function placeAfterFirmware(
  machine: PinnableMachine,
  qmp: Qmp,
  wanted: Wanted,
  notice: Notice,
): Promise<Pinned> {
  const topology = await enumerate(machine.access, machine.hosts);
  const base = machine.uefi.base();
  const reserved = [...(base.reserved ?? []), ...heldByOthers(await queryPci(qmp), machine.hosts)];
  const found = toMachine(topology, { ...base, reserved }, { name: await namer(machine, qmp), reserveAsAsked: true });
  const asked = withWishes(found, wanted);
  const { plan, moved } = adopt(topology, asked, roomFor(found, asked), within(wanted.timeLimit));
  if (moved.length > 0) notice(`placed anew to make way for what is pinned: ${moved.join(', ')}`);
  const steps = programme(topology, plan);
  await program(machine.access, steps);
  return { topology, machine: asked, plan, programme: steps };
}

/** What firmware has given to functions of root buses that are not placed here (pxb-pcie), and to what lies behind them. */
function heldByOthers(seen: readonly QemuFunction[], hosts: readonly HostToScan[]): Reserved[] {
  return outside(seen, hosts).flatMap(({ bus, device, fn, regions, bridge }) => {
    const at = formatBdf({ segment: 0, bus, device, fn });
    const bars = regions.flatMap(({ bar, type, address, size }) =>
      type === 'memory' && address ? [{ range: AddressRange.sized(address, size), reason: `BAR ${bar} of ${at}` }] : [],
    );
    const windows = [bridge?.memory, bridge?.prefetchable].flatMap((window) =>
      window && window.base > 0n && window.base <= window.limit
        ? [{ range: AddressRange.of(window.base, window.limit), reason: `a window of ${at}` }]
        : [],
    );
    return [...bars, ...windows];
  });
}

/** The machine with all that the user asks for. */
function withWishes(found: Machine, { machineFile, pins, reserves }: Wanted): Machine {
  const asked = applyPins(machineFile ? applyMachineFile(found, machineFile.machine, machineFile.name) : found, pins);
  return applyReserves(asked, reserves);
}

/** Bridges that are to keep other room than QEMU asks for. */
function roomFor(found: Machine, asked: Machine): Set<string> {
  const reserves = (machine: Machine) =>
    new Map(
      machine.hostBridges
        .flatMap(({ functions }) => [...eachFunction(functions)])
        .map(({ fn }) => [fn.id, fn.bridge && Object.values(fn.bridge.reserve).join(' ')]),
    );
  const before = reserves(found);
  return new Set([...reserves(asked)].flatMap(([id, reserve]) => (before.get(id) === reserve ? [] : [id])));
}

/**
 * Places a machine again after a reset with other devices in it: what is still there stays where it was, and what has been
 * plugged in gets the room that was kept for it, or other room, or none.
 * @throws Problem as {@link pin}
 */
export async function placeAgain(machine: PinnableMachine, qmp: Qmp, earlier: Pinned, notice: Notice): Promise<Pinned> {
  const topology = await enumerate(machine.access, machine.hosts);
  const found = toMachine(topology, machine.base, { name: await namer(machine, qmp) });
  const { reserved, physicalAddressBits, allowNonPrefetchableInPrefetchable } = earlier.machine;
  const now = { ...found, reserved, physicalAddressBits, allowNonPrefetchableInPrefetchable };
  const solved = solveAgain(machine.constrain?.(now, () => undefined) ?? now, earlier);
  const present = onlyOf(topology, solved.machine);
  const steps = programme(present, solved.plan);
  await program(machine.access, steps);
  for (const text of say(solved)) notice(text);
  return { topology: present, machine: solved.machine, plan: solved.plan, programme: steps };
}

interface Solved extends Changes {
  readonly machine: Machine;
  readonly plan: Plan;
  /** Whether what was added has its place in the plan. */
  readonly complete: boolean;
}

/** First within the windows as they were, then with those opened that have something new behind them, then without it. */
function solveAgain(now: Machine, earlier: Pinned): Solved {
  for (const windows of ['keep', 'open'] as const) {
    const { machine, ...changes } = keepPlan(now, earlier, windows);
    const plan = place(machine, { remedies: false });
    if (plan.status === 'placed') return { machine, plan: asPinned(plan, earlier.plan), ...changes, complete: true };
  }
  const { machine, ...changes } = keepPlan(now, earlier, 'keep');
  const rest = without(machine, changes.added);
  return { machine: rest, plan: asPinned(planOf(rest), earlier.plan), ...changes, complete: false };
}

/** The plan with that marked as pinned which the user has pinned: to stay where it was all of it had to be. */
function asPinned(plan: Plan, earlier: Plan): Plan {
  const key = (id: string, what: string) => `${what} ${id}`;
  const pinned = new Set(
    earlier.functions.flatMap(({ id, bars, rom, sriov }) => [
      ...bars.filter((bar) => bar.pinned).map(({ index }) => key(id, `bar${index}`)),
      ...(sriov?.bars ?? []).filter((bar) => bar.pinned).map(({ index }) => key(id, `vf${index}`)),
      ...(rom?.pinned ? [key(id, 'rom')] : []),
    ]),
  );
  return {
    ...plan,
    functions: plan.functions.map((fn) => ({
      ...fn,
      bars: fn.bars.map((bar) => ({ ...bar, pinned: pinned.has(key(fn.id, `bar${bar.index}`)) })),
      ...(fn.rom ? { rom: { ...fn.rom, pinned: pinned.has(key(fn.id, 'rom')) } } : {}),
      ...(fn.sriov
        ? {
            sriov: { bars: fn.sriov.bars.map((bar) => ({ ...bar, pinned: pinned.has(key(fn.id, `vf${bar.index}`)) })) },
          }
        : {}),
    })),
  };
}

function say({ plan, added, removed, complete }: Solved): string[] {
  const names = (functions: readonly MachineFunction[]) =>
    functions.map(({ id }) => {
      const at = plan.functions.find((fn) => fn.id === id)?.address;
      return at && formatBdf(at) !== id ? `${id} (${formatBdf(at)})` : id;
    });
  const fate = complete
    ? 'placed beside what was there before, which stays where it was'
    : 'there is no room for all of it beside what was there before, so it has no addresses, and the guest cannot use it';
  return [
    ...(removed.length > 0 ? [`gone since the last start of the guest: ${names(removed).join(', ')}`] : []),
    ...(added.length > 0 ? [`new since the last start of the guest: ${names(added).join(', ')}; ${fate}`] : []),
  ];
}

/** Names functions as the QEMU command line does, the others by address. */
async function namer(machine: PinnableMachine, qmp: Qmp): Promise<(fn: SeenFunction) => string> {
  const names = new Map((await queryPci(qmp)).map((fn) => [`${fn.bus}:${(fn.device << 3) | fn.fn}`, fn.id]));
  const awaited = machine.awaited?.();
  return ({ at }) =>
    names.get(`${at.bus}:${(at.device << 3) | at.fn}`) || (awaited?.get(formatBdf(at)) ?? formatBdf(at));
}
