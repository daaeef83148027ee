import { machineFrom } from '../machine/load.js';
import type { MachineFileInput } from '../machine/save.js';
import type { Machine } from '../machine/model.js';
import { formatSlot } from '../pci/bdf.js';
import type { FunctionInput } from '../machine/schema.js';
import type { DeviceNeed } from './need.js';

export interface SizedBoard {
  readonly arch: 'aarch64' | 'x86_64';
  readonly ram: bigint;
  readonly properties?: Readonly<Record<string, string>>;
  readonly physicalAddressBits?: number;
}

/** Eight ports are the functions of one slot of the root bus, from slot 1 on. */
const slotOf = (port: number) => formatSlot({ device: 1 + (port >> 3), fn: port & 7 });

/** A machine with these devices, each behind a root port as QEMU makes it. */
export function machineWith(devices: readonly DeviceNeed[], board: SizedBoard): Machine {
  const { arch, ram, properties, physicalAddressBits } = board;
  const file: MachineFileInput = {
    pinbar: 1,
    machine: {
      arch,
      board: arch === 'aarch64' ? 'virt' : 'q35',
      ram: String(ram),
      ...(properties ? { properties: { ...properties } } : {}),
      ...(physicalAddressBits === undefined ? {} : { physicalAddressBits }),
    },
    hostBridges: [{ id: 'pcie.0', functions: devices.map((device, i) => port(device, i)) }],
  };
  return machineFrom(file, 'the machine');
}

function port({ id, bars }: DeviceNeed, i: number): FunctionInput {
  let index = 0;
  return {
    id: `rp${i}`,
    slot: slotOf(i),
    vendor: 0x1b36,
    device: 0x000c,
    class: 0x060400,
    bars: [{ index: 0, type: 'mem32', size: 4096 }],
    bridge: {
      kind: 'root-port',
      hotplug: 'pcie',
      functions: [
        {
          id,
          slot: '0.0',
          bars: bars.map(({ type, prefetchable, size }) => {
            const own = { index, type, prefetchable, size: String(size) };
            index += type === 'mem64' ? 2 : 1;
            return own;
          }),
        },
      ],
    },
  };
}
