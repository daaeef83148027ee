import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostBridge, MachineFunction } from '../../src/machine/model.js';
import { place } from '../../src/place/place.js';
import { checkPlan } from '../check/check-plan.js';
import { validMachine } from '../check/layouts.js';
import { busMachineOf, busesOnly, hasNumbering } from '../check/numbering.js';
import { Random } from '../check/random.js';
import { machineOf, without } from '../check/conflict.js';
import { hasLayout, smallMachine } from '../check/reference.js';

const runs = Number(process.env['PLACE_RUNS'] ?? 300);

describe('a layout that was valid to begin with', () => {
  const options = fc.record({
    seed: fc.nat(),
    functions: fc.integer({ min: 1, max: 14 }),
    pins: fc.constantFrom(0, 0.1, 0.3, 0.7),
    tight: fc.boolean(),
    busPins: fc.boolean(),
    hosts: fc.integer({ min: 1, max: 2 }),
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
});

describe('a conflict', () => {
  it('has no plan, and has one without any of its constraints', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const machine = smallMachine(seed);
        const result = place(machine, { remedies: false });
        if (result.status !== 'infeasible') return;
        const { constraints } = result.conflict;
        expect(hasLayout(machineOf(machine, constraints))).toBe(false);
        for (const left of constraints) {
          // Without a pin there may be nothing, or the same without a pin.
          for (const floats of [false, true]) {
            expect(place(without(machine, constraints, left, floats), { remedies: false }).status).toBe('placed');
          }
        }
      }),
      { numRuns: runs },
    );
  });

  it('comes with remedies that were tried', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const result = place(smallMachine(seed));
        if (result.status === 'infeasible') expect(result.remedies.every(({ verified }) => verified)).toBe(true);
      }),
      { numRuns: runs / 3 },
    );
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
    const hard = validMachine({ seed: 34, functions: 119, pins: 0.3, tight: true, busPins: false, hosts: 1 });
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
        const { constraints } = plan.conflict;
        expect(place(busMachineOf(machine, constraints), { remedies: false }).status).toBe('infeasible');
      }),
      { numRuns: runs },
    );
    expect(seen.size).toBe(2);
  });
});
