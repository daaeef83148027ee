import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { place } from '../../src/place/place.js';
import { checkPlan } from '../check/check-plan.js';
import { validMachine } from '../check/layouts.js';
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
