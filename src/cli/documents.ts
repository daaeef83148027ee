import type { Machine } from '../machine/model.js';
import type { Plan } from '../place/plan.js';
import { readInput, writeOutput } from './files.js';
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
