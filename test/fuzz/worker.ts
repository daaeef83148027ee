import { parentPort, workerData } from 'node:worker_threads';
import { Random } from '../check/random.js';
import { Coverage } from './coverage.js';
import { examine } from './examine.js';
import { mutate } from './mutate.js';
import { targets } from './targets.js';

export interface Work {
  readonly name: string;
  readonly root: string;
  readonly seed: number;
  /** When to stop, as Date.now() has it. */
  readonly until: number;
  /** The input that is being read: how long it is, then its bytes. Where a parser hangs or takes all memory, it is there. */
  readonly current: SharedArrayBuffer;
}

export type Report =
  | { readonly kind: 'fault'; readonly what: string; readonly input: Uint8Array }
  | {
      readonly kind: 'progress';
      readonly runs: number;
      readonly inputs: number;
      readonly blocks: number;
      readonly heap: number;
    };

/** Inputs between two looks at what has run. */
const BATCH = 24;
const MOST_INPUTS = 5000;

/** Changes inputs and reads them until time is up, starting with those that the parser takes. */
export async function work({ name, root, seed, until, current }: Work): Promise<void> {
  const target = targets[name]!;
  const random = new Random(seed);
  const coverage = new Coverage();
  const said = new Set<string>();
  const inputs = await target.seeds(root);
  const length = new Int32Array(current, 0, 1);
  const bytes = new Uint8Array(current, 4);
  let runs = 0;
  const read = async (input: Uint8Array) => {
    bytes.set(input.subarray(0, bytes.length));
    Atomics.store(length, 0, Math.min(input.length, bytes.length));
    runs++;
    const what = await examine(target, input);
    // The same place in the code is said once.
    const where = what?.split('\n').slice(0, 2).join('\n').replaceAll(/\d+/g, '#');
    if (what === undefined || where === undefined || said.has(where)) return;
    said.add(where);
    parentPort?.postMessage({ kind: 'fault', what, input } satisfies Report);
  };
  for (const input of inputs) await read(input);
  coverage.fresh();
  for (let told = Date.now(); Date.now() < until;) {
    const batch = Array.from({ length: BATCH }, () => mutate(random.pick(inputs), inputs, random));
    for (const input of batch) await read(input);
    if (coverage.fresh() > 0 && inputs.length < MOST_INPUTS) {
      // Which of them it was does not show: all are kept at times, and what adds nothing is chosen as seldom as any other.
      inputs.push(random.pick(batch), random.pick(batch), random.pick(batch));
    }
    if (Date.now() - told < 1000) continue;
    told = Date.now();
    const heap = process.memoryUsage().heapUsed;
    parentPort?.postMessage({
      kind: 'progress',
      runs,
      inputs: inputs.length,
      blocks: coverage.size,
      heap,
    } satisfies Report);
  }
}

if (workerData) await work(workerData as Work);
