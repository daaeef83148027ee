import type { Machine, MachineFunction } from '../../../src/machine/model.js';
import { eachFunction } from '../../../src/machine/model.js';
import type { Plan, PlannedBridge, PlannedFunction } from '../../../src/place/plan.js';
import type { Random } from '../random.js';

/** A plan that breaks a rule: of the machine that the valid one was of, or of one like it. */
export interface Mutant {
  readonly machine: Machine;
  readonly plan: Plan;
}

/** One rule of placement, and how to break it. */
export interface Rule {
  readonly name: string;
  /** What the checker says of the mutant; it may say more. */
  readonly says: RegExp;
  /** Null: nothing in this plan can break the rule. */
  readonly mutate: (given: Given) => Mutant | null;
}

/** Something on a bus: a function of the machine beside what the plan says of it. */
export interface Spot {
  readonly fn: MachineFunction;
  readonly planned: PlannedFunction;
  readonly bridge: PlannedBridge | undefined;
  readonly parent: Spot | null;
  readonly host: number;
}

/** A valid plan, and chance to choose by. */
export class Given {
  readonly spots: readonly Spot[];

  constructor(
    readonly machine: Machine,
    readonly plan: Plan,
    private readonly random: Random,
  ) {
    const functions = new Map(plan.functions.map((fn) => [fn.id, fn]));
    const bridges = new Map(plan.bridges.map((bridge) => [bridge.id, bridge]));
    const spots = new Map<MachineFunction, Spot>();
    machine.hostBridges.forEach((one, host) => {
      for (const { fn, parent } of eachFunction(one.functions)) {
        const above = parent ? spots.get(parent)! : null;
        spots.set(fn, { fn, planned: functions.get(fn.id)!, bridge: bridges.get(fn.id), parent: above, host });
      }
    });
    this.spots = [...spots.values()];
  }

  /** One of these; null where there is none. */
  one<T>(list: readonly T[]): T | null {
    return list.length > 0 ? this.random.pick(list) : null;
  }

  spot(where: (spot: Spot) => boolean): Spot | null {
    return this.one(this.spots.filter(where));
  }

  /** The plan with one function changed; in order of bus address still. */
  onFunction(id: string, change: (fn: PlannedFunction) => PlannedFunction): Mutant {
    const functions = this.plan.functions.map((fn) => (fn.id === id ? change(fn) : fn));
    const key = ({ address: a }: PlannedFunction) => ((a.segment * 256 + a.bus) * 32 + a.device) * 8 + a.fn;
    return { machine: this.machine, plan: { ...this.plan, functions: functions.sort((a, b) => key(a) - key(b)) } };
  }

  onBridge(id: string, change: Partial<PlannedBridge>): Mutant {
    const bridges = this.plan.bridges.map((bridge) => (bridge.id === id ? { ...bridge, ...change } : bridge));
    return { machine: this.machine, plan: { ...this.plan, bridges } };
  }

  /** The same plan, of a machine that asks for something else of one function. */
  ofFunction(id: string, change: (fn: MachineFunction) => MachineFunction): Machine {
    const walk = (list: readonly MachineFunction[]): MachineFunction[] =>
      list.map((fn) => {
        const own = fn.bridge ? { ...fn, bridge: { ...fn.bridge, functions: walk(fn.bridge.functions) } } : fn;
        return fn.id === id ? change(own) : own;
      });
    const hostBridges = this.machine.hostBridges.map((host) => ({ ...host, functions: walk(host.functions) }));
    return { ...this.machine, hostBridges };
  }

  ofBridge(id: string, change: Partial<NonNullable<MachineFunction['bridge']>>): Mutant {
    const machine = this.ofFunction(id, (fn) => ({ ...fn, bridge: { ...fn.bridge!, ...change } }));
    return { machine, plan: this.plan };
  }
}
