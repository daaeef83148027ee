import { isAligned } from '../address/align.js';
import type { Size } from '../address/kinds.js';
import type { AddressRange } from '../address/range.js';
import { eachFunction, type Bar, type BridgePins, type Machine, type MachineFunction } from '../machine/model.js';
import { withFunctions } from './changes.js';
import type { ConstraintSubject, Plan, PlannedBar, PlannedBridge, PlannedFunction } from './plan.js';

/** Where something lies in a plan, or its bus number: a machine can be held to it as to a pin. */
export interface Stay {
  readonly id: string;
  readonly subject: ConstraintSubject;
  /** A bridge window is a range. */
  readonly at: bigint | AddressRange;
  /** Bytes, 0 of a bus number. */
  readonly size: Size;
}

const windowKinds = ['io', 'memory', 'prefetchable'] as const;

/** What of a plan can be said of a machine, which may be another: by id, where it is not pinned there already. */
export function staysOf(machine: Machine, plan: Plan): Stay[] {
  const functions = new Map(plan.functions.map((fn) => [fn.id, fn]));
  const bridges = new Map(plan.bridges.map((bridge) => [bridge.id, bridge]));
  return machine.hostBridges.flatMap((host) =>
    [...eachFunction(host.functions)].flatMap(({ fn }) => {
      const planned = functions.get(fn.id);
      const bridge = bridges.get(fn.id);
      return [...(planned ? ofFunction(fn, planned) : []), ...(bridge ? ofBridge(fn, bridge) : [])];
    }),
  );
}

function ofFunction({ id, bars, rom, sriov }: MachineFunction, planned: PlannedFunction): Stay[] {
  const ofBars = (
    all: readonly Bar[],
    before: readonly PlannedBar[],
    count: number,
    subjectOf: (index: number) => ConstraintSubject,
  ) =>
    all.flatMap(({ index, type, size, pin }): Stay[] => {
      const same = before.find((bar) => bar.index === index && (bar.type === 'io') === (type === 'io'));
      if (!same || pin !== undefined || !isAligned(same.address, size)) return [];
      return [{ id, subject: subjectOf(index), at: same.address, size: size * BigInt(count) }];
    });
  return [
    ...ofBars(bars, planned.bars, 1, (index) => index),
    ...ofBars(sriov?.bars ?? [], planned.sriov?.bars ?? [], sriov?.totalVfs ?? 0, (index) => `vf${index}`),
    ...(rom && rom.pin === undefined && planned.rom && isAligned(planned.rom.address, rom.size)
      ? [{ id, subject: 'rom' as const, at: planned.rom.address, size: rom.size }]
      : []),
  ];
}

function ofBridge({ id, bridge }: MachineFunction, planned: PlannedBridge): Stay[] {
  if (!bridge) return [];
  const buses = (['secondary', 'subordinate'] as const).flatMap((subject): Stay[] =>
    bridge.pin[subject] === undefined ? [{ id, subject, at: BigInt(planned[subject]), size: 0n }] : [],
  );
  const windows = windowKinds.flatMap((subject): Stay[] => {
    const at = planned[subject];
    return at && !bridge.pin[subject] ? [{ id, subject, at, size: at.size }] : [];
  });
  return [...buses, ...windows];
}

/** Held in bridge windows, which grow and shrink with what is in them. */
export const isWindow = ({ subject }: Stay): boolean => windowKinds.some((kind) => kind === subject);
export const isBus = ({ subject }: Stay): boolean => subject === 'secondary' || subject === 'subordinate';

/** The machine with all these pinned. */
export function heldTo(machine: Machine, stays: readonly Stay[]): Machine {
  const byId = new Map<string, Map<ConstraintSubject, Stay['at']>>();
  for (const { id, subject, at } of stays) {
    const own = byId.get(id) ?? new Map<ConstraintSubject, Stay['at']>();
    byId.set(id, own.set(subject, at));
  }
  return withFunctions(machine, (fn) => {
    const own = byId.get(fn.id);
    return [own ? held(fn, own) : fn];
  });
}

function held(fn: MachineFunction, own: ReadonlyMap<ConstraintSubject, Stay['at']>): MachineFunction {
  const { rom, sriov, bridge } = fn;
  const pinned = <T extends { readonly pin?: bigint }>(one: T, subject: ConstraintSubject): T => {
    const at = own.get(subject);
    return typeof at === 'bigint' ? { ...one, pin: at } : one;
  };
  const pins: BridgePins = Object.fromEntries(
    (['secondary', 'subordinate', ...windowKinds] as const).flatMap((subject) => {
      const at = own.get(subject);
      return at === undefined ? [] : [[subject, typeof at === 'bigint' ? Number(at) : at]];
    }),
  );
  return {
    ...fn,
    bars: fn.bars.map((bar) => pinned(bar, bar.index)),
    ...(rom ? { rom: pinned(rom, 'rom') } : {}),
    ...(sriov ? { sriov: { ...sriov, bars: sriov.bars.map((bar) => pinned(bar, `vf${bar.index}`)) } } : {}),
    ...(bridge ? { bridge: { ...bridge, pin: { ...bridge.pin, ...pins } } } : {}),
  };
}
