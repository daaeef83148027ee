import { encodeWindows } from '../../devicetree/pci.js';
import { splitCells, type DeviceTreeNode } from '../../devicetree/tree.js';
import { configSpaceOf } from '../ecam.js';
import type { ExportSource } from '../exported.js';
import type { PlacedHost } from '../layout.js';
import { cells, text } from './pci-nodes.js';

/**
 * A `pci-host-ecam-generic` node (Linux, Documentation/devicetree/bindings/pci/host-generic-pci.yaml) with these windows, whose
 * guest is told to keep what it finds. `parent` is the path that it lies below, for messages; addresses have two cells there.
 * @throws Problem `export-ecam`
 */
export function hostNode(
  host: PlacedHost,
  source: ExportSource,
  { parent = '', windows, children }: HostNodeParts,
): DeviceTreeNode {
  const { base, size, buses } = configSpaceOf(host, source);
  const root: DeviceTreeNode = { name: '', properties: [cells('#address-cells', 2)], children: [] };
  const node = { name: `pcie@${base.toString(16)}`, properties: [], children: [] };
  return {
    ...node,
    properties: [
      text('compatible', 'pci-host-ecam-generic'),
      text('device_type', 'pci'),
      cells('#address-cells', 3),
      cells('#size-cells', 2),
      cells('reg', ...splitCells(base, 2), ...splitCells(size, 2)),
      cells('bus-range', ...buses),
      cells('linux,pci-domain', host.planned.segment),
      { name: 'ranges', value: encodeWindows({ path: `${parent}/${node.name}`, node, ancestors: [root] }, windows) },
      { name: 'dma-coherent', value: new Uint8Array() },
      cells('linux,pci-probe-only', 1),
    ],
    children,
  };
}

interface HostNodeParts {
  readonly parent?: string;
  readonly windows: PlacedHost['planned']['windows'];
  readonly children: readonly DeviceTreeNode[];
}
