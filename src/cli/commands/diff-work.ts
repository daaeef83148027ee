import { diff } from '../../import/diff/diff.js';
import { differenceToJson } from '../../import/diff/json.js';
import { snapshotOfCapture, snapshotOfPlan, type Snapshot } from '../../import/diff/snapshot.js';
import { Exit, Problem } from '../../problem/problem.js';
import { work, type Context } from '../context.js';
import { looksLikePlan, planOf } from '../documents.js';
import { styleFor, type Io } from '../io.js';
import { readEvidenceOr } from '../read-capture.js';
import { renderDifference } from '../render/difference.js';
import type { DiffFlags } from './flags.js';

export async function diffFiles(this: Context, flags: DiffFlags, a: string, b: string): Promise<void> {
  await work(this, async (io) => {
    if (a === '-' && b === '-') throw new Problem('usage', 'standard input can be read once, and - is given twice');
    const result = diff(await snapshot(a, io), await snapshot(b, io));
    io.stdout.write(
      flags.json
        ? `${JSON.stringify(differenceToJson(result), null, 2)}\n`
        : renderDifference(result, flags.all, styleFor(io.stdout, io.env)),
    );
    return result.verdict === 'same' ? Exit.done : Exit.outside;
  });
}

async function snapshot(file: string, io: Io): Promise<Snapshot> {
  const read = await readEvidenceOr(file, io, looksLikePlan);
  return 'text' in read ? snapshotOfPlan(await planOf(read)) : snapshotOfCapture(read.capture);
}
