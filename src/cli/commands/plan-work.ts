import { loadMachine } from '../../machine/load.js';
import type { Machine } from '../../machine/model.js';
import { parseTimeLimit, within } from '../../pin/time-limit.js';
import type { Headroom } from '../../place/headroom.js';
import { headroomToJson } from '../../place/headroom-json.js';
import { movesOf } from '../../place/moves.js';
import type { Plan } from '../../place/plan.js';
import { place } from '../../place/place.js';
import { planToJson } from '../../place/plan-json.js';
import { Exit, Problem } from '../../problem/problem.js';
import { work, type Context } from '../context.js';
import { readPlan } from '../documents.js';
import { readInput, writeOutput } from '../files.js';
import { styleFor } from '../io.js';
import { renderHeadroom } from '../render/headroom.js';
import { renderMoves } from '../render/moves.js';
import { renderNotes } from '../render/notes.js';
import { renderResult } from '../render/result.js';
import type { PlanFlags } from './flags.js';

export async function plan(this: Context, flags: PlanFlags, file: string): Promise<void> {
  await work(this, async (io) => {
    const timeLimit = flags.timeLimit === undefined ? undefined : parseTimeLimit(flags.timeLimit);
    if (file === '-' && flags.keep === '-') {
      throw new Problem('usage', 'standard input can be read once, and - is given twice');
    }
    const { name, text } = await readInput(file, io);
    const machine = await loadMachine(text, name);
    const keep = flags.keep === undefined ? undefined : await readPlan(flags.keep, io);
    const result = place(machine, { ...within(timeLimit), ...(keep ? { keep } : {}) });
    const headroom =
      flags.headroom && result.status === 'placed' ? await headroomFor(machine, result, timeLimit) : null;
    const document = { ...planToJson(result), ...(headroom ? { headroom: headroomToJson(headroom) } : {}) };
    const json = `${JSON.stringify(document, null, 2)}\n`;
    if (flags.out !== undefined) await writeOutput(flags.out, json);
    if (flags.json) io.stdout.write(json);
    else {
      io.stdout.write(renderResult(result, io.stdout, io.env, machine.reserved));
      if (result.status === 'placed' && keep) io.stdout.write(renderMoves(movesOf(keep, result), flags.keep ?? ''));
      if (headroom) io.stdout.write(renderHeadroom(headroom, styleFor(io.stdout, io.env)));
      if (result.status === 'placed') io.stdout.write(await renderNotes(machine, result));
    }
    return result.status === 'placed' ? Exit.done : Exit.noPlan;
  });
}

async function headroomFor(machine: Machine, plan: Plan, timeLimit: number | undefined): Promise<Headroom> {
  const { headroomOf } = await import('../../place/headroom.js');
  const { stop } = within(timeLimit);
  return headroomOf(machine, plan, stop ? { stop } : {});
}
