import type { AddressRange } from '../address/range.js';
import type { BusAddress, Size } from '../address/kinds.js';
import { eachFunction, type Machine, type MachineFunction } from '../machine/model.js';
import { compareBdf, type Bdf } from '../pci/bdf.js';
import type { ConstraintSubject, PlannedBridge, PlannedFunction, PlannedVfBar } from '../place/plan.js';
import type { Prediction, PredictedGuest, Unplaced } from './prediction.js';

/** What one guest did with one function. */
export interface Outcome {
  readonly bus: number;
  /** Bus address of a BAR, the ROM or a VF BAR group; undefined: it has none. */
  readonly address: (subject: ConstraintSubject) => BusAddress | undefined;
  /** Why it has none. */
  readonly reason: (subject: ConstraintSubject, size: Size) => string;
  readonly bridge?: {
    readonly secondary: number;
    readonly subordinate: number;
    readonly io: AddressRange | null;
    readonly memory: AddressRange | null;
    readonly prefetchable: AddressRange | null;
  };
}

/** A prediction from what became of each function. `outcome` gives undefined for one that the guest never saw. */
export function assemblePrediction(
  machine: Machine,
  guests: readonly PredictedGuest[],
  outcome: (fn: MachineFunction) => Outcome | undefined,
): Prediction {
  const functions: PlannedFunction[] = [];
  const bridges: PlannedBridge[] = [];
  const unplaced: Unplaced[] = [];
  const hostBridges = machine.hostBridges.map((host) => {
    let last = host.buses[0];
    for (const { fn } of eachFunction(host.functions)) {
      const found = outcome(fn);
      if (!found) continue;
      const address: Bdf = { segment: host.segment, bus: found.bus, ...fn.slot };
      functions.push(planned(fn, address, found, unplaced));
      last = Math.max(last, found.bus, found.bridge?.subordinate ?? 0);
      if (found.bridge) bridges.push({ id: fn.id, address, primary: found.bus, ...found.bridge });
    }
    return { id: host.id, segment: host.segment, buses: [host.buses[0], last] as const, windows: host.windows };
  });
  return {
    status: unplaced.length === 0 ? 'placed' : 'partial',
    guests,
    ram: machine.ram,
    hostBridges,
    bridges: bridges.sort((a, b) => compareBdf(a.address, b.address)),
    functions: functions.sort((a, b) => compareBdf(a.address, b.address)),
    unplaced,
  };
}

function planned(fn: MachineFunction, address: Bdf, found: Outcome, unplaced: Unplaced[]): PlannedFunction {
  /** The address; without one, what misses it is noted. */
  const at = (bar: ConstraintSubject, size: Size): BusAddress | undefined => {
    const where = found.address(bar);
    if (where === undefined) unplaced.push({ id: fn.id, bar, size, reason: found.reason(bar, size) });
    return where;
  };
  const bars = fn.bars.flatMap(({ index, type, prefetchable, size }) => {
    const where = at(index, size);
    return where === undefined ? [] : [{ index, type, prefetchable, size, address: where, pinned: false }];
  });
  const rom = fn.rom && at('rom', fn.rom.size);
  const { totalVfs: count = 0, bars: groups = [] } = fn.sriov ?? {};
  const vfBars = (count > 0 ? groups : []).flatMap(({ index, type, prefetchable, size }): PlannedVfBar[] => {
    const where = at(`vf${index}`, size * BigInt(count));
    return where === undefined ? [] : [{ index, type, prefetchable, size, count, address: where, pinned: false }];
  });
  return {
    id: fn.id,
    address,
    bars,
    ...(fn.rom && rom !== undefined ? { rom: { size: fn.rom.size, address: rom, pinned: false } } : {}),
    ...(fn.sriov ? { sriov: { bars: vfBars } } : {}),
  };
}

/** A guest that stops before it has placed anything. */
export function stoppedPrediction(machine: Machine, guests: readonly PredictedGuest[], reason: string): Prediction {
  const nothing = assemblePrediction(machine, guests, () => undefined);
  const unplaced: Unplaced[] = [];
  for (const { functions } of machine.hostBridges) {
    for (const { fn } of eachFunction(functions)) {
      for (const { index, size } of fn.bars) unplaced.push({ id: fn.id, bar: index, size, reason });
    }
  }
  return { ...nothing, status: 'partial', unplaced, stopped: reason };
}
