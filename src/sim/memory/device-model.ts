import { AddressRange } from '../../address/range.js';
import type { Machine } from '../../machine/model.js';
import type { EcamWindow } from '../../pci/ecam.js';
import { simulate, type SimulatedMachine } from '../simulate.js';
import { onesOf } from './access.js';
import { AddressSpace } from './address-space.js';
import { ecamRange, ecamRegion, rootComplex } from './ecam-region.js';
import type { IoreqHandler } from './ioreq.js';
import { pciWindow, type DeviceMemory } from './pci-windows.js';

/** What an IOREQ server emulates: host bridges and everything behind them. */
export interface DeviceModel {
  readonly machine: SimulatedMachine;
  readonly handler: IoreqHandler;
  /** Config space and windows: what the server has to claim for the guest to reach all of it. */
  readonly ranges: readonly AddressRange[];
}

/**
 * The host bridges of a machine as one IOREQ server has them, as QEMU's `xenpvh` machine does: config space, windows, and what is
 * decoded in them. Where nothing is decoded, reads give all ones (hw/pci-host/gpex.c, allow-unmapped-accesses).
 */
export function deviceModel(
  machine: Pick<Machine, 'hostBridges'>,
  ecam: readonly EcamWindow[],
  memory?: DeviceMemory,
): DeviceModel {
  const simulated = simulate(machine);
  const windows = machine.hostBridges.flatMap((host) => host.windows);
  const space = new AddressSpace();
  for (const window of ecam) space.add(ecamRegion(window, [rootComplex(simulated.access)]));
  for (const window of windows) space.add(pciWindow(window, simulated, memory));
  return {
    machine: simulated,
    ranges: [...ecam.map(ecamRange), ...windows.map(({ cpuBase, size }) => AddressRange.sized(cpuBase, size))],
    handler: async (request) => {
      if (request.space === 'config') {
        const [value = 0] = await simulated.access.batch([request.op]);
        return BigInt(value);
      }
      const result = await space.access(request.access);
      if (result.status === 'done') return result.value;
      return request.access.kind === 'read' ? onesOf(request.access.width) : 0n;
    },
  };
}
