import { buildCommand } from '@stricli/core';
import type { Context } from '../context.js';
import type { DoctorFlags } from './flags.js';

export const doctorCommand = buildCommand<DoctorFlags, string[], Context>({
  loader: async () => (await import('./doctor-work.js')).doctor,
  parameters: {
    flags: {
      json: { kind: 'boolean', brief: 'Print the diagnosis as JSON', default: false },
    },
    positional: {
      kind: 'array',
      minimum: 1,
      parameter: {
        parse: String,
        brief: 'dmesg, lspci, /proc/iomem, QEMU errors and arguments, domain XML, firmware logs; - is standard input',
        placeholder: 'FILE',
      },
    },
  },
  docs: {
    brief: 'Name the cause in logs, with the proof and the remedy',
    fullDescription:
      'Reads any mix of logs and listings, says what is wrong with the placement of BARs (or that nothing is), cites the lines that show it, and names the remedies and the commands that would settle what is open. Exit code 0 also when nothing was found.',
  },
});
