import type { ConfigAccess, ConfigOp } from '../pci/config-access.js';

/**
 * Work that asks for config accesses in steps: it yields the ops of one step and is given their results. Written for one
 * function, it reads like sequential code; {@link together} runs any number of them side by side, so that one step of all
 * is one batch.
 */
export type Steps<T> = Generator<readonly ConfigOp[], T, readonly number[]>;

type Results<T extends readonly Steps<unknown>[]> = {
  -readonly [K in keyof T]: T[K] extends Steps<infer R> ? R : never;
};

/**
 * Runs all tasks in lockstep and returns their results in order. In each round the first task's ops come first: what one
 * task writes in a round, a later one sees in the same round.
 */
export function* together<const T extends readonly Steps<unknown>[]>(tasks: T): Steps<Results<T>> {
  const results = new Array<unknown>(tasks.length);
  let running = tasks.map((task, index) => ({ task, index, step: task.next() }));
  for (;;) {
    running = running.filter(({ step, index }) => {
      if (step.done) results[index] = step.value;
      return !step.done;
    });
    if (running.length === 0) return results as Results<T>;
    const ops: ConfigOp[] = [];
    for (const { step } of running) if (!step.done) for (const op of step.value) ops.push(op);
    const answers = yield ops;
    let at = 0;
    for (const entry of running) {
      const count = entry.step.done ? 0 : entry.step.value.length;
      entry.step = entry.task.next(answers.slice(at, at + count));
      at += count;
    }
  }
}

/** Ops in one batch at most: bounds what a transport has to hold. */
const MAX_BATCH = 16_384;

/** Carries a task out. A step without ops costs no round trip. */
export async function carryOut<T>(access: ConfigAccess, task: Steps<T>): Promise<T> {
  let step = task.next();
  while (!step.done) {
    const ops = step.value;
    const answers: number[] = [];
    for (let at = 0; at < ops.length; at += MAX_BATCH) {
      const part = await access.batch(ops.length <= MAX_BATCH ? ops : ops.slice(at, at + MAX_BATCH));
      for (const answer of part) answers.push(answer);
    }
    step = task.next(answers);
  }
  return step.value;
}
