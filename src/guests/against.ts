import type { AddressRange } from '../address/range.js';
import type { BusAddress } from '../address/kinds.js';
import { eachFunction, type Machine, type MachineFunction } from '../machine/model.js';
import type { ConstraintSubject, Plan, PlannedFunction } from '../place/plan.js';
import { linux } from './linux/linux.js';
import { predict, type Guests } from './predict.js';
import type { Prediction } from './prediction.js';
import type { Registers } from './state.js';

/** One BAR, ROM or VF BAR group, in a plan and in what a guest makes of the machine. */
export interface Compared {
  readonly id: string;
  readonly bar: ConstraintSubject;
  readonly planned: BusAddress;
  readonly pinned: boolean;
  /** Undefined: it gets no address. */
  readonly predicted: BusAddress | undefined;
}

export interface ComparedWindow {
  readonly id: string;
  readonly window: 'io' | 'memory' | 'prefetchable';
  readonly planned: AddressRange | null;
  readonly predicted: AddressRange | null;
}

/** A plan beside a prediction: what differs. */
export interface Comparison {
  readonly prediction: Prediction;
  readonly moved: readonly Compared[];
  readonly windows: readonly ComparedWindow[];
}

/** What the guest does if it is left alone. */
export const leftAlone = (machine: Machine, plan: Plan, guests: Guests): Comparison =>
  compare(plan, predict(machine, guests));

/**
 * What a kernel does that finds the plan in the registers and is told to keep it; undefined for a firmware, which cannot be
 * told.
 */
export function toldToKeep(machine: Machine, plan: Plan, { kernel }: Guests): Comparison | undefined {
  if (!kernel) return undefined;
  const registers = registersOf(machine, plan);
  return compare(plan, linux(machine, kernel.version, [{ name: kernel.name, model: kernel.model }], registers, true));
}

function registersOf(machine: Machine, plan: Plan): ReadonlyMap<MachineFunction, Registers> {
  const functions = new Map(plan.functions.map((fn) => [fn.id, fn]));
  const bridges = new Map(plan.bridges.map((bridge) => [bridge.id, bridge]));
  const registers = new Map<MachineFunction, Registers>();
  for (const { fn } of machine.hostBridges.flatMap(({ functions: list }) => [...eachFunction(list)])) {
    const planned = functions.get(fn.id);
    if (!planned) continue;
    const bridge = bridges.get(fn.id);
    const bars = new Map([...placesOf(planned)].map(({ bar, address }) => [bar, address]));
    registers.set(fn, { bus: planned.address.bus, bars, ...(bridge ? { bridge } : {}) });
  }
  return registers;
}

interface Place {
  readonly bar: ConstraintSubject;
  readonly address: BusAddress;
  readonly pinned: boolean;
}

function* placesOf({ bars, rom, sriov }: PlannedFunction): Generator<Place> {
  for (const { index, address, pinned } of bars) yield { bar: index, address, pinned };
  if (rom) yield { bar: 'rom', address: rom.address, pinned: rom.pinned };
  for (const { index, address, pinned } of sriov?.bars ?? []) yield { bar: `vf${index}`, address, pinned };
}

function compare(plan: Plan, prediction: Prediction): Comparison {
  const predicted = new Map(
    prediction.functions.map((fn) => [fn.id, new Map([...placesOf(fn)].map((one) => [one.bar, one.address]))]),
  );
  const bridges = new Map(prediction.bridges.map((bridge) => [bridge.id, bridge]));
  const moved = plan.functions.flatMap((fn) =>
    [...placesOf(fn)]
      .map(({ bar, address, pinned }): Compared => ({
        id: fn.id,
        bar,
        planned: address,
        pinned,
        predicted: predicted.get(fn.id)?.get(bar),
      }))
      .filter((one) => one.planned !== one.predicted),
  );
  const windows = plan.bridges.flatMap((bridge) =>
    (['io', 'memory', 'prefetchable'] as const)
      .map((window): ComparedWindow => ({
        id: bridge.id,
        window,
        planned: bridge[window],
        predicted: bridges.get(bridge.id)?.[window] ?? null,
      }))
      .filter((one) => one.planned?.toString() !== one.predicted?.toString()),
  );
  return { prediction, moved, windows };
}
