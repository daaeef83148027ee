import type { Bridge, BridgeKind, Machine, MachineFunction } from '../machine/model.js';
import { eachFunction, noReserve } from '../machine/model.js';
import { withBridge, withFunctions } from './changes.js';
import type { Core } from './conflict.js';
import { isFunctionClaim, listed } from './names.js';
import { Sites } from './needs.js';
import type { Attempt, Candidate } from './candidate.js';
import { firstOf } from './candidate.js';

/**
 * Devices moved under a bridge above another device of the conflict, so that one window goes around both. A switch gets a
 * new downstream port, a port that holds devices gets a switch, a conventional bridge takes the device itself.
 */
export function* moveRemedies(machine: Machine, core: Core): Iterable<Attempt> {
  if (core.field === 'buses') return;
  const sites = new Sites(machine);
  const fns = [...new Set(core.claims.filter(isFunctionClaim).map(({ fn }) => fn))].filter(({ bridge }) => !bridge);
  const pinned = core.claims.some(({ kind }) => kind === 'pin');
  if (!pinned || fns.length < 2) return;
  const moves = fns.flatMap((device) => {
    const own = new Set(sites.above(device));
    const targets = new Set(fns.flatMap((fn) => sites.above(fn)).filter((bridge) => !own.has(bridge)));
    return [...targets].map((target) => ({ device, target }));
  });
  // A switch that is there already is better than one that has to be bought.
  const effort = ({ target }: (typeof moves)[number]) =>
    target.bridge?.kind.endsWith('port') ? Number(target.bridge.kind !== 'upstream-port') * 2 : 1;
  const sorted = moves.toSorted((a, b) => effort(a) - effort(b));
  yield firstOf(sorted.flatMap(({ device, target }) => moveTo(machine, sites, device, target)));
}

function moveTo(machine: Machine, sites: Sites, device: MachineFunction, target: MachineFunction): Candidate[] {
  const [port] = sites.above(device);
  // All functions of the device go along.
  const bus =
    port?.bridge?.functions ?? machine.hostBridges.find((host) => host.functions.includes(device))?.functions ?? [];
  const group = bus.filter((fn) => fn.slot.device === device.slot.device);
  if (group.some((fn) => fn.bridge)) return [];
  const names = listed(group.map(({ id }) => id));
  const ids = new Set(group.map(({ id }) => id));
  const without = withFunctions(machine, (fn) => (ids.has(fn.id) ? [] : [fn]));
  const taken = new Set(
    [...machine.hostBridges.flatMap((host) => [...eachFunction(host.functions)])].map(({ fn }) => fn.id),
  );
  const put = (change: string, functions: (bridge: Bridge) => readonly MachineFunction[]) => [
    { change, machine: withBridge(without, target.id, (bridge) => ({ ...bridge, functions: functions(bridge) })) },
  ];
  const kind = target.bridge?.kind;
  if (kind === 'pci-bridge' || kind === 'pcie-pci-bridge') {
    return put(`move ${names} behind ${target.id}`, (bridge) => [
      ...bridge.functions,
      ...inSlot(group, freeDevice(bridge.functions)),
    ]);
  }
  const fresh = (id: string): string => (taken.has(id) ? fresh(`${id}'`) : id);
  if (kind === 'upstream-port') {
    return put(`move ${names} behind a new downstream port of ${switchName(target.id)}`, (bridge) => [
      ...bridge.functions,
      portWith(fresh(`port for ${names}`), 'downstream-port', freeDevice(bridge.functions), inSlot(group, 0)),
    ]);
  }
  if (target.bridge?.functions.some((fn) => fn.bridge)) return [];
  return put(`put a switch behind ${target.id}, and ${names} there beside what ${target.id} has now`, (bridge) => [
    portWith(fresh(`switch behind ${target.id}`), 'upstream-port', 0, [
      portWith(fresh(`port of ${target.id}`), 'downstream-port', 0, bridge.functions),
      portWith(fresh(`port for ${names}`), 'downstream-port', 1, inSlot(group, 0)),
    ]),
  ]);
}

/** Not `the switch switch`. */
const switchName = (id: string): string => (id === 'switch' ? 'the switch' : `the switch ${id}`);

const inSlot = (group: readonly MachineFunction[], device: number): MachineFunction[] =>
  group.map((fn) => ({ ...fn, slot: { device, fn: fn.slot.fn } }));

function freeDevice(functions: readonly MachineFunction[]): number {
  const taken = new Set(functions.map(({ slot }) => slot.device));
  for (let device = 0; device < 32; device++) if (!taken.has(device)) return device;
  return 31;
}

const portWith = (
  id: string,
  kind: BridgeKind,
  device: number,
  functions: readonly MachineFunction[],
): MachineFunction => ({
  id,
  slot: { device, fn: 0 },
  bars: [],
  bridge: { kind, io: 32, prefetchable: 64, hotplug: 'none', reserve: noReserve, pin: {}, functions },
});
