import { describe, expect, it } from 'vitest';
import { Random } from '../check/random.js';
import { Problem } from '../../src/problem/problem.js';
import { examine } from '../fuzz/examine.js';
import { mutate } from '../fuzz/mutate.js';
import { targets, type Target } from '../fuzz/targets.js';

/** A little of `npm run fuzz`: the same inputs every time. Tests of parsers have properties of their own besides. */
const RUNS = 120;
const root = new URL('../..', import.meta.url).pathname;

describe('what is read from outside', () => {
  it.each(Object.entries(targets))('%s: a changed input is read or refused, and soon', async (_, target) => {
    const seeds = await target.seeds(root);
    expect(seeds.length).toBeGreaterThan(0);
    const random = new Random(2026);
    for (const seed of seeds.slice(0, 20)) expect(await examine(target, seed)).toBeUndefined();
    for (let i = 0; i < RUNS; i++) {
      const input = mutate(random.pick(seeds), seeds, random);
      expect(await examine(target, input), Buffer.from(input).toString('base64')).toBeUndefined();
    }
  });

  const throwing = (error: unknown): Target => ({
    seeds: () => Promise.resolve([]),
    run: () => {
      throw error;
    },
  });

  it.each([
    ['a fault of the program', new TypeError('x is undefined'), /TypeError: x is undefined/],
    ['a sentence that is no sentence', new Problem('a-code', 'found undefined'), /a-code: found undefined/],
    ['a sentence that nobody reads', new Problem('a-code', 'x'.repeat(10_000)), /a message of 10000 characters/],
    ['a code that is none', new Problem('A code', 'found nothing'), /is no code/],
  ])('is found out: %s', async (_, error, fault) => {
    expect(await examine(throwing(error), new Uint8Array())).toMatch(fault);
  });

  it('is found out: a parser that takes its time', async () => {
    const slow: Target = {
      seeds: () => Promise.resolve([]),
      run: () => {
        for (const start = process.cpuUsage(); process.cpuUsage(start).user < 60_000;);
      },
    };
    expect(await examine(slow, new Uint8Array(7), 20)).toMatch(/ms of processor time for 7 bytes/);
  });
});
