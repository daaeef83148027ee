import { buildCommand } from '@stricli/core';
import type { Context } from '../context.js';
import type { ScanFlags } from './flags.js';

export const scanCommand = buildCommand<ScanFlags, [], Context>({
  loader: async () => (await import('./scan-work.js')).scan,
  parameters: {
    flags: {
      root: {
        kind: 'parsed',
        parse: String,
        brief: 'Read a copied tree: the folder that holds sys/ and proc/',
        placeholder: 'DIR',
        optional: true,
      },
      out: {
        kind: 'parsed',
        parse: String,
        brief: 'Write the capture to this file',
        placeholder: 'FILE',
        optional: true,
      },
      anonymous: {
        kind: 'boolean',
        brief: 'Leave out what identifies the machine: serial numbers, unknown registers, names',
        default: false,
      },
      json: { kind: 'boolean', brief: 'Print the capture itself', default: false },
    },
    positional: { kind: 'tuple', parameters: [] },
  },
  docs: {
    brief: 'Capture the PCI functions of a Linux host',
    fullDescription:
      'Reads sysfs and procfs of this machine, or of a copy: functions, BARs, bridge windows, config space, SR-IOV, resizable BARs, ACS, IOMMU groups and what they reserve. Works without root, and says what root would have added. Nothing is written to a device.',
  },
});
