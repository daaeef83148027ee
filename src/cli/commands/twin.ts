import { buildCommand } from '@stricli/core';
import type { Context } from '../context.js';
import type { TwinFlags } from './flags.js';

export const twinCommand = buildCommand<TwinFlags, string[], Context>({
  loader: async () => (await import('./twin-work.js')).twin,
  parameters: {
    flags: {
      devices: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'Serve these functions of the capture; all that are not bridges where it is left out',
        placeholder: 'ADDRESS[,ADDRESS]',
      },
      region: {
        kind: 'parsed',
        parse: String,
        variadic: true,
        optional: true,
        brief: 'What lies behind a BAR or a ROM: memory (default), echo, constant:VALUE, file:PATH',
        placeholder: 'ADDRESS/barN=RULE',
      },
      add: {
        kind: 'parsed',
        parse: String,
        variadic: true,
        optional: true,
        brief: 'This function also has Enhanced Allocation, or resizable:barN:SIZE, sriov:VFS:SIZE',
        placeholder: 'ADDRESS=ea',
      },
      absent: {
        kind: 'parsed',
        parse: String,
        variadic: true,
        optional: true,
        brief:
          'An empty slot at first; the function appears after that many seconds, at SIGUSR2, or when you plug it in',
        placeholder: 'ADDRESS[@SECONDS]|ADDRESS,hotplug',
      },
      memory: {
        kind: 'parsed',
        parse: String,
        default: '512MiB',
        brief: 'Keep at most this much of what guests write to BARs',
        placeholder: 'SIZE',
      },
      json: { kind: 'boolean', brief: 'Print sockets and QEMU’s arguments as JSON', default: false },
    },
    positional: {
      kind: 'array',
      parameter: {
        parse: String,
        brief: 'A capture, or what pinbar import reads: lspci, a folder with sys/; - is standard input',
        placeholder: 'CAPTURE',
      },
    },
  },
  docs: {
    brief: 'Serve captured functions over vfio-user',
    fullDescription: [
      'Serves each function on a socket of its own, for vfio-user-pci of QEMU 10.1 and later, and prints the sockets and QEMU’s',
      'arguments. Config space behaves as the captured hardware’s; BARs are memory that costs nothing until it is written. A',
      'twin raises no interrupt and does no DMA. It runs until it is interrupted; nothing is left then.',
    ].join('\n'),
    customUsage: ['[--devices ADDRESS[,ADDRESS]] [--region ADDRESS/barN=RULE]... CAPTURE...'],
  },
});
