import type { Machine } from '../../machine/model.js';
import type { Plan } from '../../place/plan.js';

/** What usual guests would do without pins, under the plan of a machine that has some; else nothing. */
export async function renderNotes(machine: Machine, plan: Plan): Promise<string> {
  const { hasPins, pinningNotes } = await import('../../guests/notes.js');
  return hasPins(plan) ? `\n${pinningNotes(machine, plan).join('\n')}\n` : '';
}
