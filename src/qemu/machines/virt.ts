import { eachFunction } from '../../machine/model.js';
import { EcamAccess } from '../ecam.js';
import { queryPci } from '../query-pci.js';
import type { Wanted } from '../request.js';
import { findDeviceTree, readDeviceTree, replaceDeviceTree } from './device-tree-rom.js';
import type { MachineContext, PinnableMachine } from './machine.js';
import { virtMachine } from './virt-tree.js';

/**
 * `virt`: all that is to be known of it is in the device tree that QEMU has put into guest memory, and what the guest is to
 * keep is said there.
 * @throws Problem `devicetree-…`, `window-not-there`
 */
export async function openVirt({ qmp, memory, request, version }: MachineContext): Promise<PinnableMachine> {
  const [rom, roots] = await Promise.all([findDeviceTree(qmp), queryPci(qmp)]);
  const machine = virtMachine(await readDeviceTree(memory, rom), {
    arch: request.machine.arch,
    mmioWindow: request.mmioWindow,
    lowPorts: pinsLowPorts(request),
    otherRootBuses: [...new Set(roots.map(({ bus }) => bus))].filter((bus) => bus > 0),
    properties: request.properties,
    qemu: version,
  });
  const notices: string[] = [];
  if (machine.hosts.some(({ buses }, i) => buses[1] < (machine.ecam[i]?.lastBus ?? 0))) {
    notices.push(
      'a guest that boots with a device tree does not see the root buses of pxb-pcie; what lies behind them is not placed',
    );
  }
  return {
    hosts: machine.hosts,
    access: new EcamAccess(memory, machine.ecam),
    base: machine.base,
    notices,
    reopen: () => Promise.resolve(),
    // Read anew each time: QEMU puts fresh seeds into its own tree at every reset.
    deliver: async () => replaceDeviceTree(memory, rom, machine.keep(await readDeviceTree(memory, rom))),
  };
}

/** No memory window of the board begins this low: an address below 0x1000 is a port. */
const pinsLowPorts = ({ pins, machineFile }: Wanted): boolean =>
  pins.some(({ address }) => address < 0x1000n) ||
  (machineFile?.machine.hostBridges ?? [])
    .flatMap(({ functions }) => [...eachFunction(functions)])
    .some(
      ({ fn }) =>
        fn.bars.some(({ pin }) => pin !== undefined && pin < 0x1000n) || (fn.bridge?.pin.io?.base ?? 0x1000n) < 0x1000n,
    );
