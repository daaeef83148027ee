import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { place } from '../../src/place/place.js';
import { checkPlan } from '../check/check-plan.js';
import { validMachine } from '../check/layouts.js';
import { addressRules } from '../check/mutants/addresses.js';
import { busRules } from '../check/mutants/buses.js';
import { contentRules } from '../check/mutants/contents.js';
import { Given } from '../check/mutants/mutant.js';
import { Random } from '../check/random.js';

const runs = Number(process.env['PLACE_RUNS'] ?? 300);

/** Machines with something of everything. */
const machines = fc
  .record({
    seed: fc.nat(),
    functions: fc.integer({ min: 8, max: 24 }),
    pins: fc.constantFrom(0, 0.3, 0.7),
    tight: fc.boolean(),
    busPins: fc.boolean(),
    hosts: fc.integer({ min: 1, max: 2 }),
  })
  .map((options) => ({ machine: validMachine(options), seed: options.seed }));

describe('the checker sees every rule broken, one at a time, in random plans', () => {
  it.each([
    ['contents', contentRules],
    ['addresses', addressRules],
    ['bus numbers', busRules],
  ])('%s', (_, rules) => {
    const seen = new Map(rules.map(({ name }) => [name, 0]));
    expect(seen.size).toBe(rules.length);
    fc.assert(
      fc.property(machines, ({ machine, seed }) => {
        const plan = place(machine, { remedies: false });
        // Some are hard, and this is not about them.
        if (plan.status !== 'placed') return;
        expect(checkPlan(machine, plan)).toEqual([]);
        const given = new Given(machine, plan, new Random(seed));
        for (const { name, says, mutate } of rules) {
          const mutant = mutate(given);
          if (!mutant) continue;
          seen.set(name, (seen.get(name) ?? 0) + 1);
          const heard = checkPlan(mutant.machine, mutant.plan).join('\n');
          if (!says.test(heard)) throw new Error(`not seen: ${name}; the checker says: ${heard || 'nothing'}`);
        }
      }),
      { numRuns: runs / 3 },
    );
    expect([...seen].filter(([, times]) => times === 0)).toEqual([]);
  });
});
