import { buildCommand } from '@stricli/core';
import type { Context } from '../context.js';
import type { SizeFlags } from './flags.js';

export const sizeCommand = buildCommand<SizeFlags, string[], Context>({
  loader: async () => (await import('./size-work.js')).size,
  parameters: {
    flags: {
      bar: {
        kind: 'parsed',
        parse: String,
        variadic: true,
        optional: true,
        brief: 'A BAR in each of COUNT devices: 512GiB*8, 64MiB*8:32; kinds 64, 64n, 32, 32p, io; can be repeated',
        placeholder: 'SIZE*COUNT:KIND',
      },
      devices: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'Functions of the captured host: addresses, comma between them',
        placeholder: 'ADDRESSES',
      },
      ram: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'The guest’s RAM, 4GiB where it is left out',
        placeholder: 'SIZE',
      },
      json: { kind: 'boolean', brief: 'Print the answers as JSON', default: false },
    },
    positional: {
      kind: 'array',
      parameter: {
        parse: String,
        brief: 'A capture, or anything that pinbar import makes one of; - is standard input',
        placeholder: 'FILE',
      },
    },
  },
  docs: {
    brief: 'Say how large windows and reserves must be for devices',
    fullDescription:
      'For devices of a capture, or described by their BARs: what QEMU, OVMF, root ports, the guest’s CPU, Linux, libvirt and VMware have to be told, as small as works, and why.',
    customUsage: [
      '--bar SIZE*COUNT:KIND... [--ram SIZE] [--json]',
      'FILE... --devices ADDRESSES [--ram SIZE] [--json]',
    ],
  },
});
