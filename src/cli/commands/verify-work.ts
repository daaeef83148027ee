import { compare } from '../../import/compare/compare.js';
import type { Comparison } from '../../import/compare/comparison.js';
import { comparisonToJson } from '../../import/compare/json.js';
import { readGuestText } from '../../import/guest-text.js';
import { Exit, Problem } from '../../problem/problem.js';
import { work, type Context } from '../context.js';
import { readPlan } from '../documents.js';
import { readInput } from '../files.js';
import { styleFor } from '../io.js';
import { renderComparison } from '../render/comparison.js';
import type { VerifyFlags } from './flags.js';

export async function verify(this: Context, flags: VerifyFlags, planFile: string, ...more: string[]): Promise<void> {
  await work(this, async (io) => {
    const guests = [...(flags.guest ?? []), ...more];
    if (guests.length === 0) {
      throw new Problem('usage', 'there is nothing to compare the plan with', {
        hint: 'name what the guest printed: pinbar verify PLAN --guest lspci.txt iomem.txt',
      });
    }
    if ([planFile, ...guests].filter((file) => file === '-').length > 1) {
      throw new Problem('usage', 'standard input can be read once, and - is given more than once');
    }
    const plan = await readPlan(planFile, io);
    const observations = [];
    for (const guest of guests) {
      const { name, text } = await readInput(guest, io);
      observations.push(...readGuestText(name, text));
    }
    const comparison = compare(plan, observations);
    io.stdout.write(
      flags.json
        ? `${JSON.stringify(comparisonToJson(comparison), null, 2)}\n`
        : renderComparison(comparison, styleFor(io.stdout, io.env)),
    );
    return exitCode(comparison);
  });
}

/** 3 where the guest did not keep the plan, and where nothing shows that it did. */
const exitCode = ({ verdict }: Comparison): number =>
  verdict === 'holds' || verdict === 'incomplete' ? Exit.done : Exit.outside;
