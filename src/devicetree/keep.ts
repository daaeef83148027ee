import { Problem } from '../problem/problem.js';
import type { HostWindow } from '../machine/model.js';
import { addNode, setProperty } from './edit.js';
import { encodeWindows, pciHostBridges, type PciWindow } from './pci.js';
import { encodeCells, findNode, type DeviceTree } from './tree.js';

export interface KeepOptions {
  /** Paths of the host bridges whose set-up stays; left out: all of them. */
  readonly hostBridges?: readonly string[];
  /** New windows of a host bridge by its path, in place of all that it has. */
  readonly windows?: ReadonlyMap<string, readonly (HostWindow & Partial<PciWindow>)[]>;
}

/**
 * A tree that makes firmware and guest keep the BARs, bridge windows and bus numbers that they find.
 *
 * - `linux,pci-probe-only = <1>` in /chosen: Linux up to 6.10 reads it there and nowhere else
 *   (drivers/pci/of.c, of_pci_check_probe_only).
 * - The same in the node of each host bridge: Linux from 6.11 on asks the node first and /chosen where the node has none
 *   (of_pci_preserve_config), so a 0 in the node would win.
 * - `pci-enum-done = <1>` in that node: what the QEMU series with pci-pre-enum writes and its EDK2 reads.
 *
 * @throws Problem `devicetree-no-host-bridge` where there is nothing to keep, or a path names no host bridge
 */
export function keepPciSetup(tree: DeviceTree, options: KeepOptions = {}): DeviceTree {
  const known = pciHostBridges(tree).map(({ path }) => path);
  const paths = options.hostBridges ?? known;
  const missing = [...paths, ...(options.windows?.keys() ?? [])].find((path) => !known.includes(path));
  if (missing !== undefined || paths.length === 0) {
    throw new Problem(
      'devicetree-no-host-bridge',
      missing === undefined
        ? 'the device tree has no generic PCI host bridge'
        : `${missing} is no generic PCI host bridge`,
      {
        hint: known.length > 0 ? `it has ${known.join(', ')}` : 'a board without PCI Express has nothing to keep',
        facts: { path: missing, known },
      },
    );
  }
  const one = encodeCells([1]);
  let edited = findNode(tree, '/chosen') ? tree : addNode(tree, '/', { name: 'chosen', properties: [], children: [] });
  edited = setProperty(edited, '/chosen', 'linux,pci-probe-only', one);
  for (const path of paths) {
    edited = setProperty(edited, path, 'linux,pci-probe-only', one);
    edited = setProperty(edited, path, 'pci-enum-done', one);
  }
  for (const [path, windows] of options.windows ?? []) {
    const at = findNode(edited, path);
    if (at) edited = setProperty(edited, path, 'ranges', encodeWindows(at, windows));
  }
  return edited;
}
