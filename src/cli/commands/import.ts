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
      devices: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'Make the machine file of a guest with these devices of the host: addresses, comma between them',
        placeholder: 'ADDRESSES',
      },
      mirror: {
        kind: 'boolean',
        brief: 'With --devices: the host’s ports and switches, BARs pinned at the host’s addresses',
        default: false,
      },
      board: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'With --devices: the guest’s board, as pinbar boards lists them; else the host’s architecture tells',
        placeholder: 'BOARD',
      },
      ram: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'With --devices: the guest’s RAM, 4GiB where it is left out',
        placeholder: 'SIZE',
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
    brief: 'Make a capture of logs and listings, or a machine file of a capture',
    fullDescription:
      'Reads any number of files, finds out what they are, and puts them together into one capture, which goes to standard output. Where they do not agree it says so. With --devices, what goes there is the machine file of a guest that these devices are passed through to.',
    customUsage: [
      '[--out FILE] [--anonymous] FILE...',
      '--devices ADDRESSES [--mirror] [--board BOARD] [--ram SIZE] [--out FILE] FILE...',
    ],
  },
});
