import { KiB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import { splitCells, type DeviceTree, type DeviceTreeNode } from '../../devicetree/tree.js';
import { encodeBackground, encodeIoreqRanges, xenProperties } from '../../devicetree/xen.js';
import type { Machine } from '../../machine/model.js';
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
 * lies below /passthrough into the guest's tree (docs/misc/arm/passthrough.txt), and not /reserved-memory.
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
  const reserved = reservedMemory(source.machine?.reserved ?? []);
  const tree = treeOf([passthrough, ...reserved]);
  return {
    content: deviceTreeSource(tree, [
      'Written by pinbar export xen: a partial device tree of the guest (dtc -O dtb), for device_tree of xl.cfg or as a',
      'multiboot,device-tree module of a dom0less domain.',
    ]),
    notes: [
      ...new Set(windows.flatMap(({ notes }) => notes)),
      'the guest is told to keep what it finds (linux,pci-probe-only of the node: Linux 6.11 and later): whoever emulates the bus has to have programmed it before the guest looks',
      ...(reserved.length > 0
        ? [
            'Xen and its tools copy /passthrough and /aliases into the guest’s tree, and not /reserved-memory: it is for who makes the whole tree',
          ]
        : []),
    ],
  };
}

/** What may not be used, as Devicetree Specification 0.4 §3.5 has it. */
function reservedMemory(ranges: Machine['reserved']): DeviceTreeNode[] {
  if (ranges.length === 0) return [];
  return [
    {
      name: 'reserved-memory',
      properties: [cells('#address-cells', 2), cells('#size-cells', 2), { name: 'ranges', value: new Uint8Array() }],
      children: ranges.map(({ range: { base, size }, reason }) => ({
        name: `reserved@${base.toString(16)}`,
        properties: [
          cells('reg', ...splitCells(base, 2), ...splitCells(size, 2)),
          { name: 'no-map', value: new Uint8Array() },
          ...(reason === '' ? [] : [text('label', reason)]),
        ],
        children: [],
      })),
    },
  ];
}

/** Whoever reads all ones finds no device there: PCI Express Base 6.0 §7.5.1.1.1. */
const ONES = (1n << 64n) - 1n;

/**
 * The domain's node in the host's device tree: what answers where no IOREQ server does yet, in released Xen's words
 * (`trap-unmapped-accesses`) and in those of the proposed background regions, and what the server is to claim.
 */
export function exportXenDomain(source: ExportSource): Exported {
  const machine = requireMachine(source.machine, 'how much RAM the domain has and where config space is');
  const claims = hostsOf(source).flatMap((host) => {
    const { base, size } = configSpaceOf(host, source);
    const windows = hostWindows(host).windows.map((window) => ({
      what: window.type,
      range: AddressRange.sized(window.cpuBase, window.size),
    }));
    const ecam = { what: 'ECAM', range: AddressRange.sized(base, size) };
    return [ecam, ...windows].map((claim) => ({ ...claim, host: host.planned.id }));
  });
  const configSpaces = claims.filter(({ what }) => what === 'ECAM').map(({ range }) => ({ range, value: ONES }));
  const domain: DeviceTreeNode = {
    name: 'domU1',
    properties: [
      text('compatible', 'xen,domain'),
      cells('#address-cells', 2),
      cells('#size-cells', 2),
      cells('memory', ...splitCells(totalRam(machine) / KiB, 2)),
      cells('cpus', 1),
      { name: 'vpl011', value: new Uint8Array() },
      cells(xenProperties.trapUnmapped, 0),
      cells(xenProperties.background, ...encodeBackground(configSpaces)),
      cells(xenProperties.ioreqRanges, ...encodeIoreqRanges(claims.map(({ range }) => range))),
    ],
    children: [],
  };
  const tree = treeOf([{ name: 'chosen', properties: [], children: [domain] }]);
  return {
    content: deviceTreeSource(tree, [
      'Written by pinbar export xen-domain: to be put into the host’s device tree; add the kernel and ramdisk modules.',
      'trap-unmapped-accesses is of Xen 4.21 and later: with 0, the domain reads ones wherever nobody answers.',
      'mmio-background-regions is proposed, and in no released Xen. pinbar,ioreq-server-ranges is pinbar’s own: CPU addresses',
      'that the IOREQ server of the host bridge has to claim, which Xen learns from the server.',
      ...claims.map(({ host, what, range }) => `  ${commentText(host)} ${what} ${range.toString()}`),
    ]),
    notes: [
      'Xen before 4.21 knows neither trap-unmapped-accesses nor mmio-background-regions: there the guest faults where no IOREQ server answers yet',
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
