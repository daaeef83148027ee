import { buildCommand } from '@stricli/core';
import type { Context } from '../context.js';
import type { ImportFlags } from './flags.js';

export const importCommand = buildCommand<ImportFlags, string[], Context>({
  loader: async () => (await import('./import-work.js')).importFiles,
  parameters: {
    flags: {
      out: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'Write the result to this file, and print a table',
        placeholder: 'FILE',
      },
      anonymous: {
        kind: 'boolean',
        brief: 'Leave out of a capture what identifies the machine',
        default: false,
      },
    },
    positional: {
      kind: 'array',
      parameter: {
        parse: String,
        brief: 'lspci, dmesg, /proc/iomem, a device tree blob, a folder with sys/, a capture; - is standard input',
        placeholder: 'FILE',
      },
    },
  },
  docs: {
    brief: 'Make a capture of logs and listings',
    fullDescription:
      'Reads any number of files, finds out what they are, and puts them together into one capture, which goes to standard output. Where they do not agree it says so.',
    customUsage: ['[--out FILE] [--anonymous] FILE...'],
  },
});
