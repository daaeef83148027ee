import { buildCommand } from '@stricli/core';
import type { Context } from '../context.js';
import type { DiffFlags } from './flags.js';

export const diffCommand = buildCommand<DiffFlags, [string, string], Context>({
  loader: async () => (await import('./diff-work.js')).diffFiles,
  parameters: {
    flags: {
      all: { kind: 'boolean', brief: 'Show what is the same, too', default: false },
      json: { kind: 'boolean', brief: 'Print the difference as JSON', default: false },
    },
    positional: {
      kind: 'tuple',
      parameters: [
        { parse: String, brief: 'A plan, a capture, or anything that pinbar import makes one of', placeholder: 'A' },
        { parse: String, brief: 'The same, later or elsewhere; - is standard input', placeholder: 'B' },
      ],
    },
  },
  docs: {
    brief: 'Say what moved between two captures or plans',
    fullDescription:
      'Compares host and guest, one boot and another, a plan and a capture: what moved, appeared and vanished, and whether the functions of an IOMMU group have the same addresses on both sides. Exit code 0 where no BAR that both show differs, 3 where one does or nothing can be compared.',
  },
});
