import { buildCommand } from '@stricli/core';
import type { Context } from '../context.js';
import type { ExportFlags } from './flags.js';

const text = (brief: string, placeholder: string) =>
  ({ kind: 'parsed', parse: String, optional: true, brief, placeholder }) as const;
const texts = (brief: string, placeholder: string) =>
  ({ kind: 'parsed', parse: String, variadic: true, optional: true, brief, placeholder }) as const;

export const exportCommand = buildCommand<ExportFlags, [string?, string?], Context>({
  loader: async () => (await import('./export-work.js')).exportPlan,
  parameters: {
    flags: {
      machine: text('The machine file that the plan was made of: board, ports, devices', 'FILE'),
      out: text('Write to this file instead of standard output', 'FILE'),
      base: text('dts, dtb: the device tree blob that the machine starts with, to be edited', 'FILE'),
      ecam: text('Where bus 0 has its config space, if the board does not say it', 'ADDRESS'),
      host: texts('The function of the host that is passed through as this one', 'ID=ADDRESS'),
      device: texts('What QEMU has as this function, as -device takes it', 'ID=DEVICE'),
    },
    positional: {
      kind: 'tuple',
      parameters: [
        {
          parse: String,
          brief: 'What to write; without one, all formats are listed',
          placeholder: 'FORMAT',
          optional: true,
        },
        {
          parse: String,
          brief: 'A plan, or a machine file, which is solved; - is standard input',
          placeholder: 'PLAN',
          optional: true,
        },
      ],
    },
  },
  docs: {
    brief: 'Write a plan as the configuration of something else',
    fullDescription:
      'Writes a plan as a configuration: for QEMU, libvirt, firmware and others. What the format cannot say of the plan is said on standard error.',
    customUsage: [
      '',
      'FORMAT PLAN [--machine FILE] [--out FILE] [--base BLOB] [--ecam ADDRESS] [--host ID=ADDRESS]... [--device ID=DEVICE]...',
    ],
  },
});
