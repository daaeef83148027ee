import { hex } from '../../address/format.js';
import { KiB } from '../../address/kinds.js';
import { splitCells, type DeviceTree, type DeviceTreeNode } from '../../devicetree/tree.js';
import { totalRam } from '../../machine/implied.js';
import { Problem } from '../../problem/problem.js';
import { hostNode } from '../device-tree/host-node.js';
import { cells, text } from '../device-tree/pci-nodes.js';
import { deviceTreeSource } from '../device-tree/source.js';
import { configSpaceOf } from '../ecam.js';
import type { Exported, ExportSource } from '../exported.js';
import { commentText } from '../shell.js';
import { hostWindows, layoutOf, requireMachine, type PlacedHost } from '../layout.js';

/**
 * The partial device tree of a Xen guest on Arm: a generic host bridge that an IOREQ server emulates. Xen and its tools copy what
 * lies below /passthrough into the guest's tree (docs/misc/arm/passthrough.txt).
 * @throws Problem `export-ecam`, `export-xen`
 */
export function exportXen(source: ExportSource): Exported {
  const hosts = hostsOf(source);
  const windows = hosts.map((host) => hostWindows(host));
  const passthrough: DeviceTreeNode = {
    name: 'passthrough',
    properties: [
      text('compatible', 'simple-bus'),
      { name: 'ranges', value: new Uint8Array() },
      cells('#address-cells', 2),
      cells('#size-cells', 2),
    ],
    children: hosts.map((host, i) =>
      hostNode(host, source, { parent: '/passthrough', windows: windows[i]?.windows ?? [], children: [] }),
    ),
  };
  const tree = treeOf([passthrough]);
  return {
    content: deviceTreeSource(tree, [
      'Written by pinbar export xen: a partial device tree of the guest (dtc -O dtb), for device_tree of xl.cfg or as a',
      'multiboot,device-tree module of a dom0less domain.',
    ]),
    notes: [...new Set(windows.flatMap(({ notes }) => notes)), ...keepNotes],
  };
}

const keepNotes = [
  'the guest is told to keep what it finds (linux,pci-probe-only of the node: Linux 6.11 and later): whoever emulates the bus has to have programmed it before the guest looks',
];

/**
 * The domain's node in the host's device tree: the background regions that answer where no IOREQ server does yet. Their binding is
 * proposed (xen-devel, xen/arm: Virtio-PCI for dom0less on ARM): base, size and read value, two cells each.
 */
export function exportXenDomain(source: ExportSource): Exported {
  const machine = requireMachine(source.machine, 'how much RAM the domain has and where config space is');
  const hosts = hostsOf(source);
  const spaces = hosts.map((host) => configSpaceOf(host, source));
  const domain: DeviceTreeNode = {
    name: 'domU1',
    properties: [
      text('compatible', 'xen,domain'),
      cells('#address-cells', 2),
      cells('#size-cells', 2),
      cells('memory', ...splitCells(totalRam(machine) / KiB, 2)),
      cells('cpus', 1),
      { name: 'vpl011', value: new Uint8Array() },
      // Whoever reads all ones finds no device there: PCI Express Base 6.0 §7.5.1.1.1.
      cells(
        'mmio-background-regions',
        ...spaces.flatMap(({ base, size }) => [
          ...splitCells(base, 2),
          ...splitCells(size, 2),
          0xffff_ffff,
          0xffff_ffff,
        ]),
      ),
    ],
    children: [],
  };
  const claimed = hosts.flatMap((host, i) => {
    const space = spaces[i];
    const ranges = hostWindows(host).windows.map(
      ({ type, cpuBase, size }) => `${type} ${hex(cpuBase)}-${hex(cpuBase + size - 1n)}`,
    );
    const ecam = space ? [`ECAM ${hex(space.base)}-${hex(space.base + space.size - 1n)}`] : [];
    return [...ecam, ...ranges].map((range) => `  ${commentText(host.planned.id)} ${range}`);
  });
  const tree = treeOf([{ name: 'chosen', properties: [], children: [domain] }]);
  return {
    content: deviceTreeSource(tree, [
      'Written by pinbar export xen-domain: to be put into the host’s device tree; add the kernel and ramdisk modules.',
      'mmio-background-regions is proposed, and in no released Xen.',
      'Ranges of CPU addresses that the IOREQ server of the host bridge claims:',
      ...claimed,
    ]),
    notes: [
      'mmio-background-regions is proposed, and in no released Xen: there the guest faults where no IOREQ server answers yet',
    ],
  };
}

function hostsOf({ plan, machine }: ExportSource): PlacedHost[] {
  if (machine && machine.arch !== 'aarch64') {
    throw new Problem('export-xen', `the machine is ${machine.arch}, and this is for Xen guests on Arm`, {
      hint: 'export xl writes the configuration of a guest on x86',
    });
  }
  return layoutOf(plan, machine);
}

const treeOf = (children: readonly DeviceTreeNode[]): DeviceTree => ({
  totalSize: 0,
  bootCpu: 0,
  reservations: [],
  root: { name: '', properties: [cells('#address-cells', 2), cells('#size-cells', 2)], children },
});
