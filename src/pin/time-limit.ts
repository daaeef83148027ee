import type { PlaceOptions } from '../place/place.js';
import { Problem } from '../problem/problem.js';

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, '': 1000, min: 60_000, m: 60_000 };
const DAY = 86_400_000;

/** Milliseconds of a time limit as people write it: `10s`, `1.5s`, `500ms`, `2min`; seconds where there is no unit. */
export function parseTimeLimit(text: string): number {
  const match = /^([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(ms|s|min|m|)$/.exec(text.trim());
  const ms = match ? Number(match[1]) * (units[match[2] ?? ''] ?? NaN) : NaN;
  if (!(ms > 0 && ms <= DAY)) {
    throw new Problem('time-limit', `'${text.slice(0, 60)}' is not a time limit`, {
      hint: 'write a time above 0 and up to a day, such as 30s, 500ms or 2min',
      facts: { text },
    });
  }
  return ms;
}

/** Makes the search end after this time and no earlier; it starts now. Where it ends depends on the machine it runs on. */
export function within(ms: number | undefined): PlaceOptions {
  if (ms === undefined) return {};
  const end = performance.now() + ms;
  return { steps: Infinity, stop: () => performance.now() >= end };
}
