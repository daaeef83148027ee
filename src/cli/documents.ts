import type { Machine } from '../machine/model.js';
import type { Plan } from '../place/plan.js';
import { Exit, Problem } from '../problem/problem.js';
import { readInput, writeOutput, type Input } from './files.js';
import type { Io } from './io.js';

/** Writes a plan as JSON. Throws Problem `output-unwritable`. */
export async function writePlan(path: string, plan: Plan): Promise<void> {
  const { planToJson } = await import('../place/plan-json.js');
  await writeOutput(path, `${JSON.stringify(planToJson(plan), null, 2)}\n`);
}

/** Reads a machine file, `-` from standard input. Throws as `loadMachine` and `readInput` do. */
export async function readMachine(path: string, io: Io): Promise<{ machine: Machine; name: string }> {
  const { loadMachine } = await import('../machine/load.js');
  const { name, text } = await readInput(path, io);
  return { machine: await loadMachine(text, name), name };
}

/**
 * Reads a plan.
 * @throws Problem `plan-syntax`, `plan-schema`, `plan-range`, `plan-empty`, and as readInput does
 */
export async function readPlan(path: string, io: Io): Promise<Plan> {
  return planOf(await readInput(path, io));
}

/**
 * Reads a plan, or a machine file, which is solved.
 * @throws Problem as {@link readPlan} and `loadMachine` do; `no-plan`, exit 2, where the machine has none
 */
export async function readPlanOrMachine(path: string, io: Io): Promise<{ plan: Plan; machine?: Machine }> {
  const input = await readInput(path, io);
  if (/^\s*\{/.test(input.text) && /"status"\s*:/.test(input.text)) return { plan: await planOf(input) };
  const { loadMachine } = await import('../machine/load.js');
  const { place } = await import('../place/place.js');
  const machine = await loadMachine(input.text, input.name);
  const plan = place(machine);
  if (plan.status === 'placed') return { plan, machine };
  throw new Problem('no-plan', plan.status === 'infeasible' ? plan.conflict.summary : plan.summary, {
    exit: Exit.noPlan,
    where: { file: input.name },
    hint: `pinbar plan ${input.name} says more`,
  });
}

/** Whether a text is what `plan --json` or `run --plan-out` wrote, by how it begins. */
export const looksLikePlan = (head: string): boolean =>
  /^\s*\{\s*"pinbar"\s*:\s*1\s*,\s*"status"\s*:/.test(head.slice(0, 400));

/**
 * A plan's text.
 * @throws Problem `plan-syntax`, `plan-schema`, `plan-range`, `plan-empty`
 */
export async function planOf({ name, text }: Input): Promise<Plan> {
  const { loadPlan } = await import('../place/load-plan.js');
  return loadPlan(text, name);
}
