import { encodeCells, encodeStrings, type DeviceTree, type DeviceTreeNode } from '../../src/devicetree/tree.js';

type Value = number[] | string;

export const treeNode = (
  name: string,
  properties: Readonly<Record<string, Value>>,
  ...children: DeviceTreeNode[]
): DeviceTreeNode => ({
  name,
  properties: Object.entries(properties).map(([key, value]) => ({
    name: key,
    value: typeof value === 'string' ? encodeStrings(value) : encodeCells(value),
  })),
  children,
});

/** The host bridge of QEMU's aarch64 `virt`. */
export const virtHostBridge = treeNode('pcie@10000000', {
  compatible: 'pci-host-ecam-generic',
  '#address-cells': [3],
  '#size-cells': [2],
  'linux,pci-domain': [0],
  'bus-range': [0, 255],
  reg: [0x40, 0x10000000, 0, 0x10000000],
  ranges: [
    ...[0x01000000, 0, 0, 0, 0x3eff0000, 0, 0x10000],
    ...[0x02000000, 0, 0x10000000, 0, 0x10000000, 0, 0x2eff0000],
    ...[0x43000000, 0x80, 0, 0x80, 0, 0x80, 0],
  ],
});

/** A tree as QEMU's `virt` hands it to a guest with 2 GiB, as far as PCI is concerned. */
export const virtTree = (...hostBridges: DeviceTreeNode[]): DeviceTree => ({
  totalSize: 1 << 20,
  bootCpu: 0,
  reservations: [],
  root: treeNode(
    '',
    { '#address-cells': [2], '#size-cells': [2], compatible: 'linux,dummy-virt' },
    treeNode('memory@40000000', { device_type: 'memory', reg: [0, 0x40000000, 0, 0x80000000] }),
    ...hostBridges,
    treeNode('chosen', { bootargs: 'console=ttyAMA0' }),
  ),
});
