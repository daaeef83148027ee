import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { place } from '../../src/place/place.js';
import { checkPlan } from '../check/check-plan.js';
import { validMachine } from '../check/layouts.js';

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
