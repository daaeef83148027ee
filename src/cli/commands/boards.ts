import { buildCommand } from '@stricli/core';
import type { Context } from '../context.js';
import type { BoardsFlags } from './flags.js';

export const boardsCommand = buildCommand<BoardsFlags, [string?], Context>({
  loader: async () => (await import('./boards-work.js')).boards,
  parameters: {
    flags: {
      ram: {
        kind: 'parsed',
        parse: String,
        brief: 'How much RAM the machine has (default: 4GiB)',
        placeholder: 'SIZE',
        optional: true,
      },
      property: {
        kind: 'parsed',
        parse: String,
        variadic: true,
        optional: true,
        brief: 'A board property that moves the map, as -machine takes it; also maxmem and slots of -m',
        placeholder: 'NAME=VALUE',
      },
      qemu: {
        kind: 'parsed',
        parse: String,
        brief: 'The QEMU release that the board is taken from',
        placeholder: 'RELEASE',
        optional: true,
      },
      addressBits: {
        kind: 'parsed',
        parse: String,
        brief: 'Physical address bits of the guest’s CPU',
        placeholder: 'N',
        optional: true,
      },
      json: { kind: 'boolean', brief: 'Print the boards, or the map, as JSON', default: false },
    },
    positional: {
      kind: 'tuple',
      parameters: [
        { parse: String, brief: 'A board; without one, all are listed', placeholder: 'BOARD', optional: true },
      ],
    },
    aliases: { p: 'property' },
  },
  docs: {
    brief: 'Show where a board has RAM, windows and devices',
    fullDescription:
      'Lists the boards whose memory map pinbar knows, or draws the map of one. Nothing is started: the maps are data, checked against QEMU 7.2, 10.0 and 11.1.',
    customUsage: [
      '',
      'virt-riscv64 [--ram 8GiB] [--property NAME=VALUE]... [--qemu 10.0] [--address-bits 48] [--json]',
    ],
  },
});
