import { eachFunction, type BridgeKind, type Machine, type MachineFunction } from '../machine/model.js';
import { formatSlot } from '../pci/bdf.js';

/** QEMU's device for each kind of bridge. */
const drivers: Readonly<Record<BridgeKind, string>> = {
  'root-port': 'pcie-root-port',
  'upstream-port': 'x3130-upstream',
  'downstream-port': 'xio3130-downstream',
  'pcie-pci-bridge': 'pcie-pci-bridge',
  'pci-bridge': 'pci-bridge',
};

type Properties = Readonly<Record<string, string | boolean>>;

/** A served function as QEMU's `device_add` takes it, and as JSON its `-device`: a socket address is an object. */
export const twinDevice = (socket: string, properties: Properties) => ({
  driver: 'vfio-user-pci',
  ...properties,
  socket: { type: 'unix', path: socket },
});

/** Chassis numbers that pinbar's ports begin at: others on the command line usually begin at 1. */
const FIRST_CHASSIS = 100;

/** Ids of functions that are not there when the guest starts. */
export interface LateIds {
  /**
   * They appear without a word from their ports, so these are without hot-plug: a guest would find the slot occupied and
   * nothing in it, and switch it off, upon which QEMU would take the device away.
   */
  readonly silent: ReadonlySet<string>;
  /**
   * They are plugged in, and not on the command line. Their ports are without a power controller: switching the power on would
   * reset what is in the slot, with the addresses that were programmed.
   */
  readonly hotplug: ReadonlySet<string>;
}

/**
 * The words that make QEMU build a machine's tree: ports and switches, and behind them the served functions.
 * @param sockets paths by the functions' ids; a function without one is left out
 */
export function twinArguments(machine: Machine, sockets: ReadonlyMap<string, string>, late: LateIds): string[] {
  let chassis = FIRST_CHASSIS;
  return machine.hostBridges.flatMap((host) =>
    [...eachFunction(host.functions)].flatMap(({ fn, parent }) => {
      const bus = parent?.id ?? host.id;
      const addr = formatSlot(fn.slot);
      if (fn.bridge) {
        const { kind } = fn.bridge;
        const number = kind === 'root-port' || kind === 'downstream-port' ? [`chassis=${chassis++}`] : [];
        const shpc = kind === 'pci-bridge' ? [`chassis_nr=${chassis++ % 0x100}`] : [];
        const slot = number.length > 0 ? slotOptions(fn.bridge.functions, late) : [];
        const words = [drivers[kind], `id=${fn.id}`, `bus=${bus}`, `addr=${addr}`, ...number, ...slot, ...shpc];
        return ['-device', words.join(',')];
      }
      const socket = sockets.get(fn.id);
      if (socket === undefined || late.hotplug.has(fn.id)) return [];
      const siblings = parent?.bridge?.functions ?? host.functions;
      return ['-device', JSON.stringify(twinDevice(socket, propertiesOf(fn, bus, siblings)))];
    }),
  );
}

/** What a port has to be told for what appears behind it. */
function slotOptions(behind: readonly { readonly id: string }[], { silent, hotplug }: LateIds): string[] {
  return [
    ...(behind.some(({ id }) => silent.has(id)) ? ['hotplug=off'] : []),
    ...(behind.some(({ id }) => hotplug.has(id)) ? ['power_controller_present=off'] : []),
  ];
}

/** A served function that is to have a root port of its own: `id` and `port` are the ids of the two. */
export interface SeparateTwin {
  readonly id: string;
  readonly port: string;
  readonly socket: string;
}

/** As {@link twinDevice}, on its port. */
export const separateDevice = ({ id, port, socket }: SeparateTwin) => twinDevice(socket, { id, bus: port });

/** The words that make QEMU put each function behind a root port of its own; one that is plugged in is left out. */
export const separateArguments = (twins: readonly SeparateTwin[], late: LateIds): string[] =>
  twins.flatMap((twin, i) => [
    ...['-device', ['pcie-root-port', `id=${twin.port}`, `chassis=${i + 1}`, ...slotOptions([twin], late)].join(',')],
    ...(late.hotplug.has(twin.id) ? [] : ['-device', JSON.stringify(separateDevice(twin))]),
  ]);

/** Where a function is to be, as QEMU's properties have it. */
export const propertiesOf = (fn: MachineFunction, bus: string, siblings: readonly MachineFunction[]): Properties => ({
  ...{ id: fn.id, bus, addr: formatSlot(fn.slot) },
  ...(isFirstOfSeveral(fn, siblings) ? { multifunction: true } : {}),
});

/** Function 0 has to say that its device has others (hw/pci/pci.c, pci_init_multifunction). */
const isFirstOfSeveral = ({ slot }: MachineFunction, siblings: readonly MachineFunction[]): boolean =>
  slot.fn === 0 && siblings.some((other) => other.slot.device === slot.device && other.slot.fn !== 0);
