import type { Machine } from '../../machine/model.js';
import type { Plan } from '../../place/plan.js';

/** What usual guests would do if they were left alone, under a plan: what they make of pins, and what they leave unplaced. */
export async function renderNotes(machine: Machine, plan: Plan): Promise<string> {
  const { pinningNotes } = await import('../../guests/notes.js');
  const notes = pinningNotes(machine, plan);
  return notes.length > 0 ? `\n${notes.join('\n')}\n` : '';
}
