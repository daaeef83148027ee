import { hex } from '../../address/format.js';
import { keepPciSetup } from '../../devicetree/keep.js';
import { parseDeviceTree } from '../../devicetree/parse.js';
import { pciHostBridges } from '../../devicetree/pci.js';
import { splitCells, type DeviceTree, type DeviceTreeNode } from '../../devicetree/tree.js';
import { writeDeviceTree } from '../../devicetree/write.js';
import { Problem } from '../../problem/problem.js';
import type { Exported, ExportSource } from '../exported.js';
import { hostWindows, layoutOf, type PlacedHost } from '../layout.js';
import { hostNode } from './host-node.js';
import { cells, functionNodes, text } from './pci-nodes.js';
import { deviceTreeSource } from './source.js';

/**
 * With a base tree: that tree, with the plan's windows, and told to keep what it finds; to start a guest with. Without: a tree of
 * the plan alone, every function in it, for people and for firmware that is made for the machine.
 * @throws Problem `export-ecam`, `export-base`, `export-mismatch`, `devicetree-…`
 */
function deviceTreeOf(source: ExportSource): { tree: DeviceTree; notes: string[] } {
  const hosts = layoutOf(source.plan, source.machine);
  const noted = [...new Set(hosts.flatMap((host) => hostWindows(host).notes))];
  if (source.base) return { tree: edited(parseDeviceTree(source.base), hosts), notes: noted };
  const [vfs] = source.plan.functions.filter(({ sriov }) => (sriov?.bars.length ?? 0) > 0);
  return {
    tree: {
      totalSize: 0,
      bootCpu: 0,
      reservations: [],
      root: {
        name: '',
        properties: [cells('#address-cells', 2), cells('#size-cells', 2), text('model', 'pinbar plan')],
        children: [
          { name: 'chosen', properties: [cells('linux,pci-probe-only', 1)], children: [] },
          ...source.plan.ram.map(({ base, size }): DeviceTreeNode => ({
            name: `memory@${base.toString(16)}`,
            properties: [text('device_type', 'memory'), cells('reg', ...splitCells(base, 2), ...splitCells(size, 2))],
            children: [],
          })),
          ...hosts.map((host) =>
            hostNode(host, source, { windows: hostWindows(host).windows, children: functionNodes(host.functions) }),
          ),
        ],
      },
    },
    notes: [
      ...noted,
      'this tree is the plan alone, without CPUs and interrupts; with --base BLOB it is that of a machine, ready to boot',
      ...(vfs ? [`VF BARs, such as those of ${vfs.id}, have no place in a device tree`] : []),
    ],
  };
}

/** @throws Problem `export-base` where the tree's host bridges are not the plan's */
function edited(base: DeviceTree, hosts: readonly PlacedHost[]): DeviceTree {
  const bridges = pciHostBridges(base);
  const windows = new Map(
    hosts.map((host, i) => {
      const { planned } = host;
      const found = bridges.find(
        ({ segment, buses }) => (segment ?? i) === planned.segment && buses[0] === planned.buses[0],
      );
      if (found) return [found.path, hostWindows(host).windows] as const;
      const there = bridges.map((one) => one.path).join(', ') || 'none';
      throw new Problem(
        'export-base',
        `the base tree has no generic host bridge with bus ${hex(planned.buses[0])} of segment ${planned.segment} for ${planned.id}`,
        {
          hint: `it has ${there}; give the tree that the machine starts with, such as QEMU writes with -machine dumpdtb=FILE`,
        },
      );
    }),
  );
  return keepPciSetup(base, { hostBridges: [...windows.keys()], windows });
}

export function exportDts(source: ExportSource): Exported {
  const { tree, notes } = deviceTreeOf(source);
  return { content: deviceTreeSource(tree), notes };
}

export function exportDtb(source: ExportSource): Exported {
  const { tree, notes } = deviceTreeOf(source);
  // Without the slack of QEMU's own tree, 1 MiB: QEMU doubles what -dtb names, and Linux on arm64 does not start with 2 MiB.
  return { content: writeDeviceTree({ ...tree, totalSize: 0 }), notes };
}
