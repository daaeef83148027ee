import type { HostBridge, Machine, MachineFunction } from '../../machine/model.js';
import { deviceFunction } from '../../pci/bdf.js';
import { IO, MEM, MEM64, PREFETCH, Resource, type Bus, type Device } from './resource.js';

export type { Bus, Device };

/** A host bridge as the kernel sees it after its scan: bus numbers given, nothing assigned. */
export interface Root {
  readonly host: HostBridge;
  readonly bus: Bus;
}

/** Bits of a class code: base class and subclass. */
const subclass = (fn: MachineFunction): number | undefined => (fn.class === undefined ? undefined : fn.class >> 8);

/** Host bridges and functions without a class are left alone (drivers/pci/setup-bus.c). */
export const isLeftAlone = ({ fn }: Device): boolean => subclass(fn) === 0x0600 || subclass(fn) === 0x0000;

export const isHotplug = ({ fn }: Device): boolean => fn.bridge?.hotplug === 'pcie';

/** Bus numbers that firmware gave to a bridge: the kernel keeps them. */
export type BusNumbers = (
  bridge: MachineFunction,
) => { readonly secondary: number; readonly subordinate: number } | undefined;

/** What the kernel knows of a machine once it has scanned it: the buses, depth first, and what every function asks for. */
export function scan(machine: Machine, numbers?: BusNumbers): Root[] {
  // Where ports are memory, the kernel numbers them itself: each I/O window gets the next free ones (lib/logic_pio.c).
  const ownNumbers = machine.arch !== 'x86_64';
  let port = 0n;
  return machine.hostBridges.map((host) => {
    const windows = host.windows.map(({ type, base, size, cpuBase }) => {
      const start = type !== 'io' ? cpuBase : ownNumbers ? port : base;
      if (type === 'io') port += size;
      const kinds = type === 'io' ? IO : type === 'mem64' ? MEM | MEM64 : MEM;
      return new Resource(null, type === 'io' ? 'io' : 'memory', kinds, start, start + size - 1n, 0n, start - base);
    });
    const bus: Bus = { number: host.buses[0], subordinate: 0, parent: null, bridge: null, devices: [], windows };
    bus.subordinate = populate(bus, host.functions, numbers);
    return { host, bus };
  });
}

/** Adds the functions of a bus and what lies behind them; bus numbers go up depth first. Returns the last one taken. */
function populate(bus: Bus, functions: readonly MachineFunction[], numbers?: BusNumbers): number {
  const inOrder = functions.toSorted((a, b) => deviceFunction(a.slot) - deviceFunction(b.slot));
  for (const fn of inOrder) bus.devices.push(deviceOf(fn, bus));
  let last = bus.number;
  for (const device of bus.devices) {
    if (!device.fn.bridge) continue;
    const windows = device.resources.slice(-3);
    const number = numbers?.(device.fn)?.secondary ?? last + 1;
    const secondary: Bus = {
      number,
      subordinate: number,
      parent: bus,
      bridge: device,
      devices: [],
      windows,
    };
    device.secondary = secondary;
    const end = populate(secondary, device.fn.bridge.functions, numbers);
    last = secondary.subordinate = numbers?.(device.fn)?.subordinate ?? end;
  }
  return last;
}

function deviceOf(fn: MachineFunction, bus: Bus): Device {
  const device: Device = { fn, bus, resources: [], secondary: null };
  for (const { index, type, prefetchable, size } of fn.bars) {
    device.resources.push(new Resource(device, index, kindsOf(type, prefetchable), 0n, size - 1n, size));
  }
  if (fn.rom) device.resources.push(new Resource(device, 'rom', MEM | PREFETCH, 0n, fn.rom.size - 1n, fn.rom.size));
  const { bars = [], totalVfs = 0 } = fn.sriov ?? {};
  for (const { index, type, prefetchable, size } of totalVfs > 0 ? bars : []) {
    const all = size * BigInt(totalVfs);
    device.resources.push(new Resource(device, `vf${index}`, kindsOf(type, prefetchable), 0n, all - 1n, size));
  }
  // Windows get their kinds when they are sized.
  if (fn.bridge) {
    for (const subject of ['io', 'memory', 'prefetchable'] as const) {
      device.resources.push(new Resource(device, subject, 0, 0n, 0n));
    }
  }
  return device;
}

const kindsOf = (type: 'io' | 'mem32' | 'mem64', prefetchable: boolean): number =>
  type === 'io' ? IO : MEM | (prefetchable ? PREFETCH : 0) | (type === 'mem64' ? MEM64 : 0);

/** A bridge's windows by name. */
export interface Windows {
  readonly io: Resource;
  readonly memory: Resource;
  readonly prefetchable: Resource;
}

/** Throws where `bus` is a root bus: those have no bridge. */
export function windowsOf(bus: Bus): Windows {
  const [io, memory, prefetchable] = bus.windows;
  if (!bus.bridge || !io || !memory || !prefetchable) throw new RangeError(`bus ${bus.number} has no bridge`);
  return { io, memory, prefetchable };
}

/**
 * Whether the kernel believes that a bridge has an I/O window: its register reads as other than 0. That of a QEMU port with
 * io-reserve=0 does, although it cannot be written.
 */
export const seemsToHaveIo = ({ bridge, vendor, device }: MachineFunction): boolean =>
  bridge !== undefined && (bridge.io > 0 || (vendor === 0x1b36 && device === 0x000c));

/** Says what the windows of a bridge can hold (pci_bridge_check_ranges). */
export function openWindows(bus: Bus): void {
  const { io, memory, prefetchable } = windowsOf(bus);
  const fn = bus.bridge?.fn;
  const bridge = fn?.bridge;
  if (!bridge) return;
  memory.kinds |= MEM;
  if (seemsToHaveIo(fn)) io.kinds |= IO;
  if (bridge.prefetchable > 0) prefetchable.kinds |= MEM | PREFETCH | (bridge.prefetchable === 64 ? MEM64 : 0);
}

/** A bus and all behind it, depth first. */
export function* busesOf(bus: Bus): Generator<Bus> {
  yield bus;
  for (const { secondary } of bus.devices) if (secondary) yield* busesOf(secondary);
}
