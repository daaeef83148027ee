import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  noReserve,
  type BridgeKind,
  type HostBridge,
  type Machine,
  type MachineFunction,
} from '../../src/machine/model.js';
import { formatBdf } from '../../src/pci/bdf.js';
import { Budget } from '../../src/place/budget.js';
import { numberBuses } from '../../src/place/bus-numbers.js';
import { claimsOf } from '../../src/place/claims.js';
import { Excerpts } from '../../src/place/excerpt.js';
import { whyNot } from '../../src/place/explain.js';
import { place } from '../../src/place/place.js';
import { planToJson } from '../../src/place/plan-json.js';
import { constraintKinds } from '../../src/place/plan.js';
import { remediesFor } from '../../src/place/remedy.js';
import { argumentFor } from '../../src/place/sentences.js';
import { solveSpace } from '../../src/place/solve.js';
import { checkPlan } from '../check/check-plan.js';
import { validMachine } from '../check/layouts.js';
import { spoiltMachine } from '../check/infeasible.js';
import { busesOnly, hasNumbering } from '../check/numbering.js';
import { Random } from '../check/random.js';
import { faultsOf, machineOf } from '../check/conflict.js';
import { hasLayout, seenElsewhere, smallMachine } from '../check/reference.js';
import { hasPorts, smallPorts } from '../check/reference-io.js';
import { machineOf as roomyMachine } from '../machines.js';

const runs = Number(process.env['PLACE_RUNS'] ?? 300);

describe('a layout that was valid to begin with', () => {
  const options = fc.record({
    seed: fc.nat(),
    functions: fc.integer({ min: 1, max: 14 }),
    pins: fc.constantFrom(0, 0.1, 0.3, 0.7),
    tight: fc.boolean(),
    busPins: fc.boolean(),
    hosts: fc.integer({ min: 1, max: 2 }),
    reserves: fc.boolean(),
    resizable: fc.boolean(),
  });

  it('is placed, and the checker finds nothing wrong', () => {
    fc.assert(
      fc.property(options, (given) => {
        const machine = validMachine(given);
        const plan = place(machine);
        expect(plan.status).toBe('placed');
        if (plan.status === 'placed') expect(checkPlan(machine, plan)).toEqual([]);
      }),
      { numRuns: runs },
    );
  });
});

describe('a plan', () => {
  const bytes = (machine: Machine) => JSON.stringify(planToJson(place(machine)));

  it('is the same bytes for the same machine, whatever was solved before', () => {
    const kinds = new Set<string>();
    fc.assert(
      fc.property(fc.nat(), fc.boolean(), (seed, spoilt) => {
        const make = () =>
          spoilt
            ? spoiltMachine(seed)
            : validMachine({ seed, functions: 10, pins: 0.3, tight: true, busPins: true, hosts: 2 });
        const machine = make();
        const first = bytes(machine);
        kinds.add(place(machine).status);
        // The same object, and another one with the same in it.
        expect(bytes(machine)).toBe(first);
        expect(bytes(make())).toBe(first);
      }),
      { numRuns: runs / 5 },
    );
    expect(kinds).toContain('placed');
    expect(kinds).toContain('infeasible');
  });

  it('has its functions and bridges in order of bus address', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const machine = validMachine({ seed, functions: 14, pins: 0.1, tight: false, busPins: true, hosts: 2 });
        const plan = place(machine);
        if (plan.status !== 'placed') throw new Error(plan.status);
        for (const list of [plan.functions, plan.bridges]) {
          const at = list.map(({ address }) => formatBdf(address));
          expect(at).toEqual(at.toSorted());
        }
      }),
      { numRuns: runs / 5 },
    );
  });

  it.each([false, true])('has the GPU and the NIC exactly where they are pinned (behind one switch: %s)', (behind) => {
    const pinned = (id: string, size: bigint, pin: bigint): MachineFunction => ({
      id,
      slot: { device: behind ? 0 : id === 'gpu0' ? 1 : 2, fn: 0 },
      bars: [{ index: 2, type: 'mem64', prefetchable: true, size, pin }],
    });
    const bridge = (
      id: string,
      device: number,
      kind: BridgeKind,
      functions: readonly MachineFunction[],
    ): MachineFunction => ({
      id,
      slot: { device, fn: 0 },
      bars: [],
      bridge: { kind, io: 32, prefetchable: 64, hotplug: 'none', reserve: noReserve, pin: {}, functions },
    });
    const gpu = pinned('gpu0', 0x40_0000_0000n, 0x6b80_0000_0000n);
    const nic = pinned('nic0', 0x200_0000n, 0x6c80_0000_0000n);
    const ports = [bridge('down0', 0, 'downstream-port', [gpu]), bridge('down1', 1, 'downstream-port', [nic])];
    const root = bridge('rp', 1, 'root-port', [bridge('up', 0, 'upstream-port', ports)]);
    const [base, size] = [0x4000_0000_0000n, 0x4000_0000_0000n];
    const machine = roomyMachine(behind ? [root] : [gpu, nic]);
    expect(machine.hostBridges[0]?.windows).toContainEqual({ type: 'mem64', base, size, cpuBase: base });
    const plan = place(machine);
    if (plan.status !== 'placed') throw new Error(plan.status);
    expect(checkPlan(machine, plan)).toEqual([]);
    const lies = plan.functions.flatMap(({ id, bars }) => bars.map(({ address }) => [id, address]));
    expect(lies).toEqual([
      ['gpu0', 0x6b80_0000_0000n],
      ['nic0', 0x6c80_0000_0000n],
    ]);
  });
});

describe('a small machine of unknown status', () => {
  it('has a plan exactly when trying every address finds one', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const machine = smallMachine(seed);
        const plan = place(machine, { remedies: false });
        expect(plan.status).toBe(hasLayout(machine) ? 'placed' : 'infeasible');
        if (plan.status === 'placed') expect(checkPlan(machine, plan)).toEqual([]);
      }),
      { numRuns: runs * 3 },
    );
  });

  it('has one wherever the CPU sees its windows', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const machine = smallMachine(seed);
        const moved = seenElsewhere(machine, seed);
        if (!moved) return;
        const plan = place(moved, { remedies: false });
        expect(plan.status).toBe(hasLayout(machine) ? 'placed' : 'infeasible');
        if (plan.status === 'placed') expect(checkPlan(moved, plan)).toEqual([]);
      }),
      { numRuns: runs },
    );
  });

  it('of ports has a plan exactly when trying every port finds one', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const machine = smallPorts(seed);
        const plan = place(machine, { remedies: false });
        expect(plan.status).toBe(hasPorts(machine) ? 'placed' : 'infeasible');
        if (plan.status === 'placed') expect(checkPlan(machine, plan)).toEqual([]);
        if (plan.status === 'infeasible') expect(faultsOf(machine, plan.conflict)).toEqual([]);
      }),
      { numRuns: runs },
    );
  });
});

describe('a conflict', () => {
  it('of a small machine has no plan when every address is tried', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const machine = smallMachine(seed);
        const result = place(machine, { remedies: false });
        if (result.status !== 'infeasible') return;
        expect(hasLayout(machineOf(machine, result.conflict.constraints))).toBe(false);
        expect(faultsOf(machine, result.conflict)).toEqual([]);
      }),
      { numRuns: runs },
    );
  });

  it('of any kind is one, and is none without any of its constraints', () => {
    const kinds = new Set<string>();
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const machine = spoiltMachine(seed);
        const result = place(machine, { remedies: false });
        expect(result.status).not.toBe('undecided');
        if (result.status === 'placed') expect(checkPlan(machine, result)).toEqual([]);
        if (result.status !== 'infeasible') return;
        expect(faultsOf(machine, result.conflict)).toEqual([]);
        for (const { kind } of result.conflict.constraints) kinds.add(kind);
      }),
      { numRuns: runs },
    );
    expect([...kinds].sort()).toEqual([...constraintKinds].sort());
  });

  it('is argued for with what holds: nothing is said against what has a plan', () => {
    let argued = 0;
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(1, 0.7, 0.4), (seed, share) => {
        const random = new Random(seed);
        const machine = spoiltMachine(seed);
        for (const field of ['buses', 'memory', 'io'] as const) {
          const claims = claimsOf(machine, field).filter(() => random.chance(share));
          if (argumentFor(machine, { field, claims }) === null) continue;
          argued++;
          const part = new Excerpts(machine).of(claims);
          const budget = new Budget(1_000_000);
          expect(field === 'buses' ? numberBuses(part, budget) : solveSpace(part, field, budget)).toBe(null);
        }
      }),
      { numRuns: runs * 2 },
    );
    expect(argued).toBeGreaterThan(runs / 10);
  });

  it('comes with remedies after which the checker finds nothing wrong', () => {
    let helped = 0;
    let conflicts = 0;
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const machine = spoiltMachine(seed);
        const inquire = (one: Machine) => whyNot(one, new Budget(1_000_000));
        const core = inquire(machine);
        if (!core) return;
        conflicts++;
        const solve = (changed: Machine) => {
          const plan = place(changed, { remedies: false });
          if (plan.status !== 'placed') return plan.status === 'infeasible' ? null : undefined;
          expect(checkPlan(changed, plan)).toEqual([]);
          return plan;
        };
        const remedies = remediesFor(machine, core, solve, inquire);
        if (remedies.length > 0) helped++;
      }),
      { numRuns: runs / 3 },
    );
    // Nearly all; the seeds differ from run to run.
    expect(helped / conflicts).toBeGreaterThan(0.8);
  });
});

describe('a search that may not take long', () => {
  it('is undecided where it would have had to, and never wrong', () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 400; seed++) {
      const machine = smallMachine(seed);
      const short = place(machine, { steps: seed % 40, remedies: false });
      seen.add(short.status);
      if (short.status !== 'undecided') expect(short.status).toBe(place(machine, { remedies: false }).status);
    }
    expect([...seen].sort()).toEqual(['infeasible', 'placed', 'undecided']);
  });

  it('ends when it is told to', () => {
    let asked = 0;
    const hard = validMachine({ seed: 19, functions: 120, pins: 0.3, tight: true, busPins: false, hosts: 1 });
    expect(place(hard, { stop: () => ++asked > 3 }).status).toBe('undecided');
    expect(asked).toBeGreaterThan(3);
  });
});

describe('bus numbers', () => {
  /** Bridges with pins and reserves in a short bus range: with a numbering, or without. */
  const machines = fc.nat().map((seed) => {
    const machine = validMachine({ seed, functions: 3 + (seed % 8), pins: 0, tight: true, busPins: true, hosts: 1 });
    const random = new Random(seed);
    const last = random.int(1, 8);
    const repin = (list: readonly MachineFunction[]): MachineFunction[] =>
      list.map((fn) => {
        if (!fn.bridge) return fn;
        const functions = repin(fn.bridge.functions);
        const pin = {
          ...(random.chance(0.3) ? { secondary: random.int(1, last) } : {}),
          ...(random.chance(0.2) ? { subordinate: random.int(1, last) } : {}),
        };
        return { ...fn, bridge: { ...fn.bridge, pin, functions } };
      });
    const hostBridges = machine.hostBridges.map((host): HostBridge => {
      return { ...host, buses: [0, last], functions: repin(host.functions) };
    });
    // Addresses are not what this is about.
    return busesOnly({ ...machine, hostBridges });
  });

  it('are found exactly when some numbering is valid', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(machines, (machine) => {
        const plan = place(machine, { remedies: false });
        seen.add(plan.status);
        expect(plan.status).toBe(hasNumbering(machine) ? 'placed' : 'infeasible');
        if (plan.status === 'placed') expect(checkPlan(machine, plan)).toEqual([]);
        if (plan.status !== 'infeasible') return;
        expect(hasNumbering(machineOf(machine, plan.conflict.constraints))).toBe(false);
        expect(faultsOf(machine, plan.conflict)).toEqual([]);
      }),
      { numRuns: runs },
    );
    expect(seen.size).toBe(2);
  });
});
