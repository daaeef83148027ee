import { common, type1 } from '../../pci/header.js';
import { formatBdf } from '../../pci/bdf.js';
import type { Exported, ExportSource } from '../exported.js';
import { layoutOf } from '../layout.js';
import { commentText } from '../shell.js';
import { stepsOf, type RegisterStep, type VfStep } from './steps.js';

/** Offset of VF BAR 0 in the SR-IOV capability. PCI Express Base 6.0 §9.3.3.14. */
const VF_BAR0 = 0x24;

/**
 * A script of setpci commands. setpci reaches what the running kernel knows, under the bus numbers that the kernel gave, so
 * these are checked and not written; a function that a driver has is a reason to stop.
 */
export function exportSetpci({ plan, machine }: ExportSource): Exported {
  layoutOf(plan, machine);
  const { buses, off, addresses, vfs, windows, on } = stepsOf(plan);
  const bridges = new Set(plan.bridges.map(({ id }) => id));
  const endpoints = plan.functions.filter(({ id }) => !bridges.has(id)).map(({ address }) => formatBdf(address));
  const lines = [
    '#!/bin/sh',
    '# Written by pinbar export setpci.',
    'set -eu',
    '',
    'fail() { echo "$0: $*" >&2; exit 1; }',
    '',
    ...(endpoints.length > 0
      ? [
          '# A driver would go on with the old addresses.',
          `for at in ${endpoints.join(' ')}; do`,
          '  [ ! -e "/sys/bus/pci/devices/$at/driver" ] || fail "$at has a driver: unbind it first"',
          'done',
          '',
        ]
      : []),
    '# Bus numbers cannot change under a running kernel: they have to be those of the plan.',
    'has() { [ "$(setpci -s "$1" "$2")" = "$3" ] || fail "$1 does not have $2 = $3"; }',
    // The primary number of a bridge routes nothing, and may be hardwired to 0.
    ...buses
      .filter(({ register }) => register !== type1.primaryBus.offset)
      .map((step) => `has ${word(step)} ${digits(step)}`),
    ...section('Nothing decodes while addresses move', off),
    ...section('BARs and ROMs', addresses),
    ...(vfs.length > 0 ? ['', '# VF BARs', ...vfs.flatMap(vfCommands)] : []),
    ...section('Bridge windows', windows),
    ...section('Decoding on again, from the leaves up', on),
  ];
  return {
    content: `${lines.join('\n')}\n`,
    notes: [
      'the running kernel does not learn of the new addresses: start the next one with kexec, and tell it to keep them',
    ],
  };
}

function section(title: string, steps: readonly RegisterStep[]): string[] {
  let last = '';
  const lines = steps.map((step) => {
    const name = step.id === last ? '' : ` # ${commentText(step.id)}`;
    last = step.id;
    // Decoding and bus mastering alone, of the Command register.
    const mask = step.register === common.command.offset ? ':7' : '';
    return `setpci -s ${word(step)}=${digits(step)}${mask}${name}`;
  });
  return ['', `# ${title}`, ...lines];
}

const suffix = { 1: 'B', 2: 'W', 4: 'L' } as const;
const digits = ({ value, width }: RegisterStep) => value.toString(16).padStart(2 * width, '0');
const word = ({ at, register, width }: RegisterStep) =>
  `${formatBdf(at)} ${register.toString(16).padStart(2, '0')}.${suffix[width]}`;

const vfCommands = ({ at, id, index, values }: VfStep): string[] =>
  values.map((value, half) => {
    const offset = (VF_BAR0 + 4 * (index + half)).toString(16);
    const name = half === 0 ? ` # ${commentText(id)} VF BAR ${index}` : '';
    return `setpci -s ${formatBdf(at)} ECAP_SRIOV+${offset}.L=${value.toString(16).padStart(8, '0')}${name}`;
  });
