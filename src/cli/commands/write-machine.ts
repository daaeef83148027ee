import type { Machine } from '../../machine/model.js';
import { place } from '../../place/place.js';
import { Exit } from '../../problem/problem.js';
import { writeOutput } from '../files.js';
import { styleFor, type Io } from '../io.js';
import { printable } from '../render/printable.js';
import { renderResult } from '../render/result.js';
import { wrap } from '../render/wrap.js';

/** A machine file as it was made, and what its reader has to know. */
interface Made {
  readonly text: string;
  readonly machine: Machine;
  readonly notes: readonly string[];
}

/** A machine file to standard output, or to `out` with its plan shown; notes to standard error. */
export async function writeMachine(out: string | undefined, { text, machine, notes }: Made, io: Io): Promise<number> {
  const result = place(machine);
  if (out === undefined) io.stdout.write(text);
  else {
    await writeOutput(out, text);
    io.stdout.write(renderResult(result, io.stdout, io.env, machine.reserved));
  }
  const style = styleFor(io.stderr, io.env);
  const none = 'there is no plan for this machine as it stands: pinbar plan says why, and what would help';
  for (const note of result.status === 'placed' ? notes : [...notes, none]) {
    const shown = wrap(printable(note), Math.min(io.stderr.columns, 110) - 6, '      ');
    io.stderr.write(`${style.yellow('note:')} ${shown}\n`);
  }
  return Exit.done;
}
