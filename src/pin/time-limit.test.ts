import { expect, it } from 'vitest';
import { place } from '../place/place.js';
import { validMachine } from '../../test/check/layouts.js';
import { parseTimeLimit, within } from './time-limit.js';

it.each([
  ['10s', 10_000],
  ['1.5s', 1500],
  ['500ms', 500],
  ['2min', 120_000],
  ['3', 3000],
])('%s is %i ms', (text, ms) => {
  expect(parseTimeLimit(text)).toBe(ms);
});

it.each(['', '0', '-1s', '1h', '1e3s', 's', '86401s', '1.2.3s'])('%o is no time limit', (text) => {
  expect(() => parseTimeLimit(text)).toThrow('is not a time limit');
});

it('ends a search that would go on', () => {
  const hard = validMachine({ seed: 19, functions: 120, pins: 0.3, tight: true, busPins: false, hosts: 1 });
  const result = place(hard, within(5));
  expect(result).toMatchObject({ status: 'undecided', summary: expect.stringContaining('time limit') as string });
});

it('leaves a search alone that ends by itself', () => {
  const easy = validMachine({ seed: 1, functions: 4, pins: 0, tight: false, busPins: false, hosts: 1 });
  expect(place(easy, within(86_400_000))).toEqual(place(easy));
});
