import { loadMachine } from '../../machine/load.js';
import { parseTimeLimit, within } from '../../pin/time-limit.js';
import { place } from '../../place/place.js';
import { planToJson } from '../../place/plan-json.js';
import { Exit } from '../../problem/problem.js';
import { work, type Context } from '../context.js';
import { readInput, writeOutput } from '../files.js';
import { renderNotes } from '../render/notes.js';
import { renderResult } from '../render/result.js';
import type { PlanFlags } from './flags.js';

export async function plan(this: Context, flags: PlanFlags, file: string): Promise<void> {
  await work(this, async (io) => {
    const timeLimit = flags.timeLimit === undefined ? undefined : parseTimeLimit(flags.timeLimit);
    const { name, text } = await readInput(file, io);
    const machine = await loadMachine(text, name);
    const result = place(machine, within(timeLimit));
    const json = `${JSON.stringify(planToJson(result), null, 2)}\n`;
    if (flags.out !== undefined) await writeOutput(flags.out, json);
    if (flags.json) io.stdout.write(json);
    else {
      io.stdout.write(renderResult(result, io.stdout, io.env, machine.reserved));
      if (result.status === 'placed') io.stdout.write(await renderNotes(machine, result));
    }
    return result.status === 'placed' ? Exit.done : Exit.noPlan;
  });
}
