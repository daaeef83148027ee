import { pciHostBridges } from '../devicetree/pci.js';
import type { DeviceTree } from '../devicetree/tree.js';
import { stringOf, findNode } from '../devicetree/tree.js';
import type { Observation, SeenHostWindow } from './observation.js';
import { treeFunctions } from './device-tree-functions.js';
import { emptyObservation } from './reader.js';

/**
 * What a device tree says of PCI: the generic host bridges, their buses, windows and functions, and the kernel's command line.
 * Bridges without a domain are numbered in the order of the tree, as Linux does (drivers/pci/pci.c, pci_bus_find_domain_nr).
 * @throws Problem `devicetree-property` where a host bridge's node is malformed
 */
export function observeDeviceTree(tree: DeviceTree, file: string): Observation {
  const source = { file, line: 0 };
  const bridges = pciHostBridges(tree).map((bridge, i) => ({ ...bridge, segment: bridge.segment ?? i }));
  // Ports are numbered from 0, window after window (lib/logic_pio.c).
  let ports = 0n;
  const hostWindows = bridges.flatMap(({ segment, buses, windows }) =>
    windows.map(({ type, base, size, cpuBase }): SeenHostWindow => {
      const common = { segment, bus: buses[0], size, busBase: base, source };
      if (type !== 'io') return { ...common, space: 'memory', address: cpuBase };
      ports += size;
      return { ...common, space: 'io', address: ports - size, cpuBase };
    }),
  );
  const chosen = findNode(tree, '/chosen')?.node;
  const commandLine = chosen && stringOf(chosen, 'bootargs');
  return {
    ...emptyObservation,
    kind: 'device-tree',
    file,
    boot: 0,
    functions: bridges.flatMap(({ path, segment }) => {
      const host = findNode(tree, path)?.node;
      return host ? treeFunctions(host, segment, source) : [];
    }),
    hostWindows,
    rootBuses: bridges.map(({ segment, buses }) => ({ segment, bus: buses[0], lastBus: buses[1], source })),
    ...(commandLine ? { host: { commandLine, source } } : {}),
  };
}
