import { hex } from '../../address/format.js';
import type { Bridge, BridgeKind, Machine } from '../../machine/model.js';
import type { Bdf } from '../../pci/bdf.js';
import { Problem } from '../../problem/problem.js';
import { allPlaced, type PlacedFunction, type PlacedHost } from '../layout.js';
import {
  bridgeDrivers,
  bridgeProperties,
  isOfBoard,
  knownDevices,
  reserveProperties,
  rootBusName,
  sharesSlot,
} from '../qemu/devices.js';
import { rootBuses } from '../qemu/root-buses.js';
import { element, type Element } from './xml.js';

/** libvirt's model of a PCI controller for each kind of bridge (docs/formatdomain: Controllers). */
const models: Readonly<Record<BridgeKind, string>> = {
  'root-port': 'pcie-root-port',
  'upstream-port': 'pcie-switch-upstream-port',
  'downstream-port': 'pcie-switch-downstream-port',
  'pcie-pci-bridge': 'pcie-to-pci-bridge',
  'pci-bridge': 'pci-bridge',
};

/** What each controller takes besides devices (src/conf/domain_addr.c, virDomainPCIControllerModelToConnectType). */
const takes: Readonly<Record<BridgeKind | 'pcie-root' | 'pci-root' | 'pcie-expander-bus', readonly BridgeKind[]>> = {
  'pcie-root': ['root-port'],
  'pci-root': ['pci-bridge'],
  'pcie-expander-bus': ['root-port'],
  'root-port': ['upstream-port', 'pcie-pci-bridge'],
  'upstream-port': ['downstream-port'],
  'downstream-port': ['upstream-port', 'pcie-pci-bridge'],
  'pcie-pci-bridge': ['pci-bridge'],
  'pci-bridge': ['pci-bridge'],
};

export interface LibvirtDevices {
  readonly elements: readonly Element[];
  /** -device of what libvirt has no element for, as words of a command line. */
  readonly words: readonly string[];
  /** <qemu:override>: properties that libvirt does not write, by alias. */
  readonly overrides: readonly Element[];
  /** Ids of bridges that libvirt does not take where the plan has them: they are among the words. */
  readonly foreign: readonly string[];
  readonly notes: readonly string[];
}

/** Controllers, host devices and the rest, each at its guest address: a bus of libvirt is the index of the controller above. */
export function libvirtDevices(hosts: readonly PlacedHost[], machine: Machine): LibvirtDevices {
  const { board, further } = rootBuses(hosts, machine);
  const functions = allPlaced(hosts).filter((fn) => !isOfBoard(fn, board, machine));
  knownDevices(functions);
  const aliases = aliasesOf([...further.map(({ host }) => host.planned), ...functions]);
  const isFurther = (fn: PlacedFunction) => further.some(({ host }) => host.functions.includes(fn));
  /** Bridges that libvirt does not take where the plan has them. */
  const foreign = new Set<PlacedFunction>();
  for (const fn of functions) {
    const root = isFurther(fn) ? 'pcie-expander-bus' : machine.board === 'pc' ? 'pci-root' : 'pcie-root';
    const kind = fn.wanted?.bridge?.kind;
    const taken = takes[fn.parent?.wanted?.bridge?.kind ?? root];
    if (kind && ((fn.parent && foreign.has(fn.parent)) || !taken.includes(kind))) foreign.add(fn);
    if (fn.parent && foreign.has(fn.parent) && fn.wanted?.hostAddress) throw outOfReach(fn, fn.parent);
  }
  const buses = new Map<string, number>();
  for (const { host } of further) buses.set(host.planned.id, buses.size + 1);
  for (const fn of functions) if (fn.bridge && !foreign.has(fn)) buses.set(fn.id, buses.size + 1);
  let chassis = buses.size;
  /** The id of what makes the bus that a function is on; undefined: the board. */
  const above = (fn: PlacedFunction) =>
    fn.parent?.id ?? further.find(({ host }) => host.functions.includes(fn))?.host.planned.id;
  const busOf = (fn: PlacedFunction) => buses.get(above(fn) ?? '') ?? 0;
  const elements: Element[] = further.map(({ host: { planned }, bus, device }) =>
    element('controller', { type: 'pci', index: String(buses.get(planned.id)), model: 'pcie-expander-bus' }, [
      element('target', { busNr: String(bus) }),
      element('alias', { name: aliases.get(planned.id) }),
      addressElement({ segment: 0, bus: 0, device, fn: 0 }, 'pci'),
    ]),
  );
  const words: string[] = [];
  const overrides: Element[] = [];
  for (const fn of functions) {
    const { id, address, wanted } = fn;
    const alias = aliases.get(id) ?? id;
    const shared = sharesSlot(fn, hosts) && address.fn === 0;
    const at = addressElement({ ...address, segment: 0, bus: busOf(fn) }, 'pci', shared);
    const index = buses.get(id);
    if (wanted?.bridge && index !== undefined) {
      elements.push(controller(wanted.bridge, index, fn, alias, at));
      const kept = reserveProperties(wanted.bridge);
      if (kept.length > 0) overrides.push(override(alias, kept));
    } else if (wanted?.hostAddress) {
      elements.push(hostdev(wanted.hostAddress, alias, at));
    } else {
      const bus = aliases.get(above(fn) ?? '') ?? rootBusName(machine);
      const slot = `0x${address.device.toString(16)}.${address.fn}`;
      const properties = [`id=${alias}`, `bus=${bus}`, `addr=${slot}`, ...(shared ? ['multifunction=on'] : [])];
      const { bridge } = wanted ?? {};
      const driver = bridge ? bridgeDrivers[bridge.kind] : (wanted?.qemuDevice ?? '');
      words.push(
        '-device',
        [driver, ...properties, ...(bridge ? bridgeProperties(bridge, () => ++chassis) : [])].join(),
      );
    }
  }
  const ids = [...foreign].map(({ id }) => id);
  return { elements, words, overrides, foreign: ids, notes: notesOf(functions, ids) };
}

function notesOf(functions: readonly PlacedFunction[], foreign: readonly string[]): string[] {
  return [
    ...(functions.some(({ wanted }) => wanted?.qemuDevice !== undefined)
      ? [
          'devices that QEMU emulates are on its command line, where libvirt does not manage them: what is added without an address may come to lie in their slots',
        ]
      : []),
    ...(foreign.length > 0
      ? [
          `${foreign.join(', ')} ${foreign.length > 1 ? 'are' : 'is'} on QEMU’s command line too: libvirt takes no such bridge on that bus`,
        ]
      : []),
  ];
}

const outOfReach = (fn: PlacedFunction, bridge: PlacedFunction): Problem =>
  new Problem(
    'export-device',
    `libvirt cannot put ${fn.id} behind ${bridge.id}, because it takes no such bridge on that bus`,
    {
      hint: `put ${bridge.id} behind a root port in the machine file: libvirt takes a PCIe-to-PCI bridge there alone`,
      facts: { id: fn.id, bridge: bridge.id },
    },
  );

/** Names that libvirt takes of users: `ua-`, then letters, digits, `_` and `-`. */
function aliasesOf(functions: readonly { readonly id: string }[]): Map<string, string> {
  const taken = new Set<string>();
  return new Map(
    functions.map(({ id }) => {
      const plain = `ua-${id.replaceAll(/[^A-Za-z0-9_-]/g, '-')}`;
      let alias = plain;
      for (let n = 2; taken.has(alias); n++) alias = `${plain}-${n}`;
      taken.add(alias);
      return [id, alias];
    }),
  );
}

function controller(bridge: Bridge, index: number, fn: PlacedFunction, alias: string, at: Element): Element {
  const { device, fn: number } = fn.address;
  const hasSlot = bridge.kind === 'root-port' || bridge.kind === 'downstream-port';
  // Chassis and port as libvirt itself chooses them: the index, and the address.
  const target = hasSlot
    ? {
        chassis: String(index),
        port: hex((device << 3) + number),
        hotplug: bridge.hotplug === 'none' ? 'off' : undefined,
      }
    : bridge.kind === 'pci-bridge'
      ? { chassisNr: String(index) }
      : undefined;
  return element('controller', { type: 'pci', index: String(index), model: models[bridge.kind] }, [
    ...(target ? [element('target', target)] : []),
    element('alias', { name: alias }),
    at,
  ]);
}

const hostdev = (host: Bdf, alias: string, at: Element): Element =>
  element('hostdev', { mode: 'subsystem', type: 'pci', managed: 'yes' }, [
    element('driver', { name: 'vfio' }),
    element('source', {}, [addressElement(host)]),
    element('alias', { name: alias }),
    at,
  ]);

const addressElement = ({ segment, bus, device, fn }: Bdf, type?: string, multifunction = false): Element =>
  element('address', {
    type,
    domain: hex(segment, 4),
    bus: hex(bus, 2),
    slot: hex(device, 2),
    function: hex(fn),
    multifunction: multifunction ? 'on' : undefined,
  });

const override = (alias: string, properties: readonly (readonly [string, bigint])[]): Element =>
  element('qemu:device', { alias }, [
    element(
      'qemu:frontend',
      {},
      properties.map(([name, value]) => element('qemu:property', { name, type: 'unsigned', value: String(value) })),
    ),
  ]);
