import { FOUR_GIB, MiB } from '../../address/kinds.js';
import { totalRam } from '../../machine/implied.js';
import { formatBdf } from '../../pci/bdf.js';
import type { Exported, ExportSource } from '../exported.js';
import { allPlaced, layoutOf, requireMachine } from '../layout.js';
import { commentText } from '../shell.js';

/**
 * A guest's configuration for Xen's xl (docs/man/xl.cfg.5, xl-pci-configuration.5): what has to do with PCI. Xen places BARs of
 * passed-through devices itself: topology and pins are not to be had. Not `rdm = "strategy=host,policy=strict"` for all devices:
 * Xen 4.17 takes any policy in it for a mistake, and passes over the line (libxlu_pci.c, xlu_rdm_parse).
 */
export function exportXl({ plan, machine: given }: ExportSource): Exported {
  const machine = requireMachine(given, 'RAM, architecture and which functions of the host are passed through');
  const functions = allPlaced(layoutOf(plan, machine));
  const passed = functions.flatMap(({ id, wanted }) =>
    wanted?.hostAddress ? [{ id, host: formatBdf(wanted.hostAddress) }] : [],
  );
  const onArm = machine.arch === 'aarch64';
  const low = plan.hostBridges.flatMap(({ windows }) => windows).filter(({ type }) => type === 'mem32');
  const lowest = low.reduce((least, { base }) => (base < least ? base : least), FOUR_GIB);
  const hole = (FOUR_GIB - lowest) / MiB;
  const lines = [
    '# Written by pinbar export xl.',
    `name = "pinbar"`,
    ...(onArm ? [] : ['type = "hvm"']),
    `memory = ${totalRam(machine) / MiB}`,
    'vcpus = 1',
    ...(passed.length > 0 && !onArm
      ? [
          '# strict: no guest without what the host’s IOMMU reserves for a device kept free of RAM',
          'pci = [',
          ...passed.map(({ id, host }) => `  "${host},rdm_policy=strict",  # ${commentText(id)}`),
          ']',
        ]
      : []),
    ...(onArm
      ? ['# The guest’s host bridge: pinbar export xen, compiled with dtc.', 'device_tree = "passthrough.dtb"']
      : [
          // tools/libs/light: the hole ends at 4 GiB.
          ...(low.length > 0 ? ['# Room below 4 GiB for 32-bit BARs, MiB', `mmio_hole = ${hole}`] : []),
        ]),
  ];
  const emulated = functions.filter(({ wanted }) => wanted?.qemuDevice !== undefined).map(({ id }) => id);
  return {
    content: `${lines.join('\n')}\n`,
    notes: [
      'Xen places the BARs of passed-through devices itself: ports, slots and pinned addresses of the plan are not in the configuration',
      ...(onArm && passed.length > 0
        ? [
            `left out, because on Arm Xen gives what it passes through a host bridge of its own: ${passed.map(({ id }) => id).join(', ')}`,
          ]
        : []),
      ...(emulated.length > 0
        ? [`left out, because xl has other words for what QEMU emulates: ${emulated.join(', ')}`]
        : []),
    ],
  };
}
