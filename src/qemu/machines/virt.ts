import { keepBars } from '../../acpi/host-bridge.js';
import { AddressRange } from '../../address/range.js';
import { pciHostBridges } from '../../devicetree/pci.js';
import type { DeviceTree } from '../../devicetree/tree.js';
import { eachFunction } from '../../machine/model.js';
import { EcamAccess } from '../../pci/ecam.js';
import { ecamDoorbell } from '../firmware/doorbell.js';
import { queryPci } from '../query-pci.js';
import { findRam, mapRam, placeRam, rangesOf, requireRam, type PlacedPiece } from '../ram/hidden.js';
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
  const tree = await readDeviceTree(memory, rom);
  const ram = hiddenRam(tree, request);
  const machine = virtMachine(tree, {
    arch: request.machine.arch,
    mmioWindow: request.mmioWindow,
    moreRam: rangesOf(ram),
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
  const access = new EcamAccess(memory, machine.ecam);
  const mapAll = async () => {
    if (ram.length === 0) return;
    await mapRam(access, ram);
    requireRam(await qmp.monitor('info mtree -f'), ram);
  };
  await findRam(access, ram);
  await mapAll();
  return {
    hosts: machine.hosts,
    access,
    base: machine.base,
    notices,
    reopen: mapAll,
    // Read anew each time: QEMU puts fresh seeds into its own tree at every reset.
    deliver: async () => replaceDeviceTree(memory, rom, machine.keep(await readDeviceTree(memory, rom))),
    uefi: {
      doorbell: ecamDoorbell(qmp, machine.ecam[0]?.base ?? 0n),
      base: () => machine.base,
      editDsdt: (dsdt) => keepBars(dsdt),
    },
  };
}

/** Where the parts of the RAM go that the board does not have itself. What is pinned or reserved is left alone. */
function hiddenRam(tree: DeviceTree, { splitRam, pins, machineFile }: Wanted): PlacedPiece[] {
  const [bridge] = pciHostBridges(tree);
  if (!splitRam || !bridge) return [];
  const file = machineFile?.machine;
  const functions = [...eachFunction((file?.hostBridges ?? []).flatMap((host) => host.functions))];
  const occupied = [
    ...pins.map(({ address, source }) => ({ range: AddressRange.sized(address, 1n), what: source })),
    ...functions.flatMap(({ fn: { id, bars } }) =>
      bars.flatMap(({ index, pin, size }) =>
        pin === undefined ? [] : [{ range: AddressRange.sized(pin, size), what: `${id} BAR ${index}` }],
      ),
    ),
    ...(file?.reserved ?? []).map(({ range, reason }) => ({ range, what: `${range.toString()}, reserved: ${reason}` })),
  ];
  const host = { segment: bridge.segment ?? 0, firstBus: bridge.buses[0], windows: bridge.windows };
  return placeRam(splitRam, host, occupied);
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
