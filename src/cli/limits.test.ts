import { expect, it } from 'vitest';
import type { PlanResult } from '../place/plan.js';
import { place } from '../place/place.js';
import { validMachine } from '../../test/check/layouts.js';
import { renderResult } from './render/result.js';

const shown = (result: PlanResult): string =>
  renderResult(result, { isTTY: false, columns: 200, write: () => undefined }, {});

const conflict = { summary: 'Too large.', constraints: [] };
const remedy = { change: 'make it smaller', verified: true };

it('says that the time limit ended the search for remedies, so that none is not taken for all', () => {
  const none = shown({ status: 'infeasible', conflict, remedies: [], stopped: true });
  expect(none).toContain(
    'The time limit ended the search for what would help: give it a longer --time-limit, or none.',
  );
  const some = shown({ status: 'infeasible', conflict, remedies: [remedy], stopped: true });
  expect(some).toContain('The time limit ended the search for more that would help');
  expect(shown({ status: 'infeasible', conflict, remedies: [remedy] })).not.toContain('time limit');
});

it('says what to do where the search gave up', () => {
  const hard = validMachine({ seed: 19, functions: 120, pins: 0.3, tight: true, busPins: false, hosts: 1 });
  expect(shown(place(hard, { steps: 1000 }))).toMatch(
    /limit of 1000 steps .* give it a time limit in place of the steps \(such as --time-limit 10min\), or pin less/,
  );
  expect(shown(place(hard, { stop: () => true }))).toMatch(/its time limit .* give it a longer one/);
});
