import { buildCommand } from '@stricli/core';
import type { Context } from '../context.js';
import type { PredictFlags } from './flags.js';

export const predictCommand = buildCommand<PredictFlags, [string], Context>({
  loader: async () => (await import('./predict-work.js')).predictGuests,
  parameters: {
    flags: {
      guest: {
        kind: 'parsed',
        parse: String,
        brief:
          'Who places: linux-6.12, seabios, …; firmware and kernel in a row are joined by a comma; can be repeated',
        placeholder: 'NAME[,NAME]',
        variadic: true,
        optional: true,
      },
      all: { kind: 'boolean', brief: 'Every guest of this architecture, side by side', default: false },
      against: {
        kind: 'parsed',
        parse: String,
        brief: 'Say what of this plan the guest would keep, left alone and told to',
        placeholder: 'PLAN',
        optional: true,
      },
      json: { kind: 'boolean', brief: 'Print the prediction as JSON', default: false },
    },
    positional: {
      kind: 'tuple',
      parameters: [{ parse: String, brief: 'Machine file, YAML or JSON; - is standard input', placeholder: 'FILE' }],
    },
  },
  docs: {
    brief: 'Say what Linux, EDK2, SeaBIOS or U-Boot would do with a machine by themselves',
    fullDescription:
      'Predicts where a guest puts BARs and bridge windows when nothing is pinned, and what it leaves without an address. Exit code 0 also where something is left.',
  },
});
