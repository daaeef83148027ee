import { buildCommand } from '@stricli/core';
import type { Context } from '../context.js';
import type { AttachFlags } from './flags.js';
import { pinningFlags } from './pinning-flags.js';

export const attachCommand = buildCommand<AttachFlags, [], Context>({
  loader: async () => (await import('./attach-work.js')).attach,
  parameters: {
    flags: {
      qmp: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'QEMU’s QMP socket: a path, or HOST:PORT; one that nobody else is connected to',
        placeholder: 'SOCKET',
      },
      qtest: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'The socket of its qtest server; this or --gdb',
        placeholder: 'SOCKET',
      },
      gdb: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'The socket of its gdbstub: a path, or HOST:PORT (-s is localhost:1234)',
        placeholder: 'SOCKET',
      },
      ...pinningFlags,
      out: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'Write the plan as JSON to this file',
        placeholder: 'FILE',
      },
      json: { kind: 'boolean', default: false, brief: 'Print the plan as JSON' },
      resume: { kind: 'boolean', default: false, brief: 'Let the machine run once it is programmed' },
      once: { kind: 'boolean', default: false, brief: 'Leave once it is programmed: no reset is programmed again' },
      verbose: { kind: 'boolean', default: false, brief: 'Say every stage, with its time' },
      quiet: { kind: 'boolean', default: false, brief: 'Print no table, only problems' },
    },
    aliases: { q: 'quiet' },
  },
  docs: {
    brief: 'Pin in a paused QEMU that something else has started',
    fullDescription: [
      'Takes a QEMU that was started with -S (virsh start --paused), and does what pinbar run does: enumerates its PCI tree,',
      'solves, programs every BAR and bridge window, and tells the guest to keep them. Stays, and does it again at every reset,',
      'until QEMU ends or pinbar is told to (SIGINT, SIGTERM). Where something goes wrong, the machine is left as it was.',
    ].join('\n'),
    customUsage: ['--qmp SOCKET --qtest SOCKET [--pin ID=barN@ADDR]... [--resume]', '--qmp SOCKET --gdb SOCKET ...'],
  },
});
