import { formatQemuSize } from '../../address/format.js';
import type { Bridge, BridgeKind, Hints, Machine } from '../../machine/model.js';
import { formatBdf, formatSlot } from '../../pci/bdf.js';
import { Problem } from '../../problem/problem.js';
import { allPlaced, type PlacedFunction, type PlacedHost } from '../layout.js';
import { rootBuses } from './root-buses.js';

/** QEMU's device for each kind of bridge. */
export const bridgeDrivers: Readonly<Record<BridgeKind, string>> = {
  'root-port': 'pcie-root-port',
  'upstream-port': 'x3130-upstream',
  'downstream-port': 'xio3130-downstream',
  'pcie-pci-bridge': 'pcie-pci-bridge',
  'pci-bridge': 'pci-bridge',
};

/** What QEMU calls the root bus of a board. */
export const rootBusName = ({ board }: Machine): string => (board === 'pc' ? 'pci.0' : 'pcie.0');

/**
 * Whether the board itself has this function, so that no -device makes it: the host bridge, and q35's ICH9 (hw/i386/pc_q35.c
 * puts it at 1f.0, 1f.2 and 1f.3).
 */
export const isOfBoard = (fn: PlacedFunction, own: PlacedHost | undefined, { board }: Machine): boolean =>
  own?.functions.includes(fn) === true && isBuiltIn(fn, board);

const isBuiltIn = ({ address, wanted }: PlacedFunction, board: Machine['board']): boolean =>
  wanted?.qemuDevice === undefined &&
  wanted?.hostAddress === undefined &&
  !wanted?.bridge &&
  ((address.device === 0 && address.fn === 0) || (board === 'q35' && address.device === 0x1f));

/**
 * Makes sure that the machine says what each function is.
 * @throws Problem `export-device` naming all of which it does not
 */
export function knownDevices(functions: readonly PlacedFunction[]): void {
  const unknown = functions.filter(
    ({ wanted }) => !wanted?.bridge && !wanted?.hostAddress && wanted?.qemuDevice === undefined,
  );
  const [first] = unknown;
  if (first) throw unknownDevice(first, unknown);
}

/** Whether other functions are in the same slot. */
export function sharesSlot(fn: PlacedFunction, hosts: readonly PlacedHost[]): boolean {
  const siblings = fn.parent?.children ?? hosts.find(({ functions }) => functions.includes(fn))?.functions ?? [];
  return siblings.some(({ address }) => address.device === fn.address.device && address.fn !== fn.address.fn);
}

/**
 * The devices of a machine as -device takes them: further root buses, then bridges before what lies behind them. Ids are the machine's.
 * @throws Problem `export-device` naming each function of which the machine does not say what it is; `export-id`
 */
export function qemuDevices(hosts: readonly PlacedHost[], machine: Machine): string[] {
  const { board, further } = rootBuses(hosts, machine);
  const own = allPlaced(hosts).filter((fn) => !isOfBoard(fn, board, machine));
  knownDevices(own);
  const root = rootBusName(machine);
  for (const id of [...further.map(({ host }) => host.planned.id), ...own.map((fn) => fn.id)]) {
    if (/^[A-Za-z][A-Za-z0-9._-]*$/.test(id)) continue;
    throw new Problem('export-id', `QEMU does not take the id ${id.slice(0, 60)}`, {
      hint: 'ids of QEMU begin with a letter and have letters, digits, dots, dashes and underscores: name it so in the machine file',
      facts: { id },
    });
  }
  const expanders = further.map(
    ({ host, bus, device }) =>
      `pxb-pcie,id=${host.planned.id},bus=${root},addr=${formatSlot({ device, fn: 0 })},bus_nr=${bus}`,
  );
  let chassis = 0;
  const devices = own.map((fn): string => {
    const above = fn.parent?.id ?? further.find(({ host }) => host.functions.includes(fn))?.host.planned.id ?? root;
    const properties = [`id=${fn.id}`, `bus=${above}`, `addr=${formatSlot(fn.address)}`];
    // Function 0 has to say that there are others: hw/pci/pci.c, pci_init_multifunction.
    if (fn.address.fn === 0 && sharesSlot(fn, hosts)) properties.push('multifunction=on');
    if (fn.wanted?.bridge) properties.push(...bridgeProperties(fn.wanted.bridge, () => ++chassis));
    return [driverOf(fn), ...properties].join(',');
  });
  return [...expanders, ...devices];
}

function driverOf({ wanted }: PlacedFunction): string {
  if (wanted?.qemuDevice !== undefined) return wanted.qemuDevice;
  if (wanted?.hostAddress) return `vfio-pci,host=${formatBdf(wanted.hostAddress)}`;
  return bridgeDrivers[wanted?.bridge?.kind ?? 'root-port'];
}

/** Each port has a chassis of its own, so that slot numbers may be alike (hw/pci/pcie_port.c, pcie_chassis_add_slot). */
export function bridgeProperties(bridge: Bridge, chassis: () => number): string[] {
  switch (bridge.kind) {
    case 'root-port':
      return [`chassis=${chassis()}`, ...(bridge.hotplug === 'none' ? ['hotplug=off'] : []), ...reserves(bridge)];
    case 'downstream-port':
      return [`chassis=${chassis()}`, ...(bridge.hotplug === 'none' ? ['hotplug=off'] : [])];
    case 'pci-bridge':
      return [`chassis_nr=${chassis()}`, ...(bridge.hotplug === 'none' ? ['shpc=off'] : []), ...reserves(bridge)];
    case 'upstream-port':
    case 'pcie-pci-bridge':
      return [];
    default:
      return bridge.kind satisfies never;
  }
}

/** What the bridge tells firmware to keep, as QEMU's properties: what the machine says, else the room that the plan keeps. */
export function reserveProperties({ hints, reserve }: Bridge): (readonly [name: string, value: bigint])[] {
  const kept: Hints = hints ?? {
    ...(reserve.buses > 0 ? { buses: reserve.buses } : {}),
    ...(reserve.io > 0n ? { io: reserve.io } : {}),
    ...(reserve.memory > 0n ? { memory: reserve.memory } : {}),
    ...(reserve.prefetchable > 0n ? { prefetchable64: reserve.prefetchable } : {}),
  };
  const { buses, io, memory, prefetchable32, prefetchable64 } = kept;
  const all = [
    ['bus-reserve', buses === undefined ? undefined : BigInt(buses)],
    ['io-reserve', io],
    ['mem-reserve', memory],
    ['pref32-reserve', prefetchable32],
    ['pref64-reserve', prefetchable64],
  ] as const;
  return all.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}

const reserves = (bridge: Bridge): string[] =>
  reserveProperties(bridge).map(
    ([name, value]) => `${name}=${name === 'bus-reserve' || value === 0n ? value : formatQemuSize(value)}`,
  );

function unknownDevice({ id }: PlacedFunction, all: readonly PlacedFunction[]): Problem {
  const names = all.map((fn) => fn.id);
  const shown = names.slice(0, 8).join(', ') + (names.length > 8 ? ` and ${names.length - 8} more` : '');
  return new Problem('export-device', `the machine does not say what ${shown} ${names.length > 1 ? 'are' : 'is'}`, {
    hint: `say which function of the host is passed through, --host ${id}=0000:01:00.0, or what QEMU emulates, --device ${id}=pci-testdev; or hostAddress or qemuDevice in the machine file`,
    facts: { ids: names },
  });
}
