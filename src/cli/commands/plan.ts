import { buildCommand } from '@stricli/core';
import type { Context } from '../context.js';
import type { PlanFlags } from './flags.js';

export const planCommand = buildCommand<PlanFlags, [string], Context>({
  loader: async () => (await import('./plan-work.js')).plan,
  parameters: {
    flags: {
      json: { kind: 'boolean', brief: 'Print the plan as JSON', default: false },
      out: {
        kind: 'parsed',
        parse: String,
        brief: 'Write the plan as JSON to this file',
        placeholder: 'FILE',
        optional: true,
      },
      keep: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'Leave everything where this earlier plan has it, as far as that can be',
        placeholder: 'PLAN',
      },
      headroom: {
        kind: 'boolean',
        brief: 'Say how much room is left, and the largest BARs that ports could still take',
        default: false,
      },
      timeLimit: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'Search no longer than this, such as 30s or 2min; then the outcome is undecided (exit code 2)',
        placeholder: 'TIME',
      },
    },
    positional: {
      kind: 'tuple',
      parameters: [{ parse: String, brief: 'Machine file, YAML or JSON; - is standard input', placeholder: 'FILE' }],
    },
  },
  docs: {
    brief: 'Solve a machine file, or say why it cannot be solved',
    fullDescription:
      'Solves a machine file: bus numbers, BARs and bridge windows. Exit code 0 with a plan, 2 where there is none (and why), 1 for a file that is wrong.',
  },
});
