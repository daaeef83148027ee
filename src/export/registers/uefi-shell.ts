import { Command } from '../../pci/header.js';
import type { Exported, ExportSource } from '../exported.js';
import { layoutOf } from '../layout.js';
import { commentText } from '../shell.js';
import { stepsOf, type RegisterStep } from './steps.js';

/**
 * A script for EDK2's UEFI shell (`startup.nsh`): the plan's registers, written after the firmware has enumerated. Its drivers go
 * on with the old addresses: connected again, they were seen not to find a disk whose BARs had moved, or to hang.
 *
 * `mm ADDRESS VALUE -w BYTES -PCIE -n`: UEFI Shell Specification 2.2, MM; the address is ssssbbddffrrr.
 */
export function exportUefiShell({ plan, machine }: ExportSource): Exported {
  layoutOf(plan, machine);
  const { buses, off, addresses, vfs, windows, on } = stepsOf(plan);
  // mm cannot change single bits, and a device that has not moved may have a driver that relies on bus mastering.
  const masters = on.map((step) => ({ ...step, value: step.value | Command.busMaster }));
  const names = [...new Set(vfs.map(({ id }) => id))];
  const lines = [
    '@echo -off',
    '# Written by pinbar export uefi-shell.',
    ...section('Bus numbers, from the root down', buses),
    ...section('Nothing decodes while addresses move', off),
    ...section('BARs and ROMs', addresses),
    ...section('Bridge windows', windows),
    ...section('Decoding on again, from the leaves up', masters),
    '@echo -on',
  ];
  return {
    content: `${lines.join('\r\n')}\r\n`,
    notes: [
      'drivers of the firmware go on with the old addresses: load what starts next from something that has not moved, such as a virtio-mmio disk',
      'the shell’s mm reaches no bus beyond those that the firmware has numbered: the plan needs no more of them',
      'Linux keeps these addresses only if it is told to: a device tree with linux,pci-probe-only, or a _DSM function 5 that returns 0',
      ...(names.length > 0
        ? [`VF BARs are left out, because where the SR-IOV capability lies is not in a plan: ${names.join(', ')}`]
        : []),
    ],
  };
}

function section(title: string, steps: readonly RegisterStep[]): string[] {
  let last = '';
  return [
    `# ${title}`,
    ...steps.flatMap((step) => {
      const name = step.id === last ? [] : [`#   ${commentText(step.id)}`];
      last = step.id;
      return [...name, command(step)];
    }),
  ];
}

const digits = (value: number, count: number) => value.toString(16).padStart(count, '0');

function command({ at, register, width, value }: RegisterStep): string {
  const address =
    digits(at.segment, 4) + digits(at.bus, 2) + digits(at.device, 2) + digits(at.fn, 2) + digits(register, 3);
  return `mm ${address} ${digits(value, 2 * width)} -w ${width} -PCIE -n`;
}
