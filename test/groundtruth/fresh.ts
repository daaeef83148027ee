import { expect, it } from 'vitest';
import { describeInLab } from '../lab/suite.js';
import type { Flavour } from './flavours.js';
import { judge } from './judge.js';
import { observe } from './observe.js';
import { topologyOf } from './topology.js';

/** How many topologies nobody has seen each flavour is tried on. */
const FRESH = 10;
const DAY_MS = 86_400_000;

/**
 * A test for each flavour: guests that place random topologies, others every day, do exactly what is predicted. What
 * fails fails for everybody that day, and can be had again with the seed that is printed; PINBAR_SEED chooses others.
 */
export function testFresh(flavours: readonly Flavour[]): void {
  const first = Number(process.env['PINBAR_SEED'] ?? Math.floor(Date.now() / DAY_MS) * FRESH);
  for (const flavour of flavours) {
    const { fresh = FRESH } = flavour;
    describeInLab(`${flavour.name}, predicted as ${flavour.guest}`, flavour.needs, () => {
      it(`${fresh} topologies from seed ${first} on`, { timeout: 900_000 }, async () => {
        const wrong: string[] = [];
        for (let seed = first; seed < first + fresh; seed++) {
          const boot = await observe(flavour, topologyOf(seed, flavour.arch));
          for (const difference of judge(boot, flavour.guest)) wrong.push(`seed ${seed}: ${difference}`);
        }
        expect(
          wrong,
          `npm run record -- --flavour ${flavour.name} --seeds ${first}-${first + fresh - 1} --write`,
        ).toEqual([]);
      });
    });
  }
}
