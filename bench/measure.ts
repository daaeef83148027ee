import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export const least = (values: readonly number[]): number => Math.min(...values);

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[half] ?? NaN) : ((sorted[half - 1] ?? NaN) + (sorted[half] ?? NaN)) / 2;
}

/** Milliseconds that `work` takes, and what it gives. */
export async function timed<T>(work: () => T | Promise<T>): Promise<{ readonly ms: number; readonly value: T }> {
  const start = performance.now();
  const value = await work();
  return { ms: performance.now() - start, value };
}

/** Milliseconds that `work` takes, and those of them and of its helper threads on a processor: what others do is not in it. */
export function timedOnProcessor<T>(work: () => T): {
  readonly ms: number;
  readonly processorMs: number;
  readonly value: T;
} {
  const before = process.cpuUsage();
  const start = performance.now();
  const value = work();
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(before);
  return { ms, processorMs: (user + system) / 1000, value };
}

/**
 * Runs every case `rounds` times in turn, so that a machine that is busy for a while is so for all of them.
 * @returns milliseconds by case
 */
export async function alternate<K extends string>(
  rounds: number,
  cases: Readonly<Record<K, () => unknown>>,
): Promise<Record<K, number[]>> {
  const names = Object.keys(cases) as K[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<K, number[]>;
  for (let round = 0; round < rounds; round++) {
    for (const name of names) times[name].push((await timed(cases[name])).ms);
  }
  return times;
}

/** Frees what nothing refers to, so that what is left on the heap can be counted. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
