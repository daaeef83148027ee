import { buildCommand } from '@stricli/core';
import type { Context } from '../context.js';
import type { VerifyFlags } from './flags.js';

export const verifyCommand = buildCommand<VerifyFlags, string[], Context>({
  loader: async () => (await import('./verify-work.js')).verify,
  parameters: {
    flags: {
      guest: {
        kind: 'parsed',
        parse: String,
        variadic: true,
        optional: true,
        brief: 'What the guest printed: lspci -vvv, /proc/iomem, sysfs resource files, dmesg',
        placeholder: 'FILE',
      },
      json: { kind: 'boolean', brief: 'Print the comparison as JSON', default: false },
    },
    positional: {
      kind: 'array',
      minimum: 1,
      parameter: {
        parse: String,
        brief: 'The plan that --plan-out or plan --json wrote, then more guest files',
        placeholder: 'PLAN',
      },
    },
    aliases: { g: 'guest' },
  },
  docs: {
    brief: 'Compare a plan with what a guest shows',
    fullDescription:
      'Says function by function what holds and what moved. Exit code 0 where everything that can be compared holds, 3 where something moved or nothing could be compared.',
    customUsage: ['PLAN --guest FILE...'],
  },
});
