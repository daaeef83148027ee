import { hex } from '../../address/format.js';
import type { Bridge, BridgeKind, Machine } from '../../machine/model.js';
import type { Bdf } from '../../pci/bdf.js';
import { allPlaced, type PlacedFunction, type PlacedHost } from '../layout.js';
import { isOfBoard, knownDevices, reserveProperties, sharesSlot } from '../qemu/devices.js';
import { element, type Element } from './xml.js';

/** libvirt's model of a PCI controller for each kind of bridge (docs/formatdomain: Controllers). */
const models: Readonly<Record<BridgeKind, string>> = {
  'root-port': 'pcie-root-port',
  'upstream-port': 'pcie-switch-upstream-port',
  'downstream-port': 'pcie-switch-downstream-port',
  'pcie-pci-bridge': 'pcie-to-pci-bridge',
  'pci-bridge': 'pci-bridge',
};

export interface LibvirtDevices {
  readonly elements: readonly Element[];
  /** -device of what libvirt has no element for, as words of a command line. */
  readonly words: readonly string[];
  /** <qemu:override>: properties that libvirt does not write, by alias. */
  readonly overrides: readonly Element[];
  readonly notes: readonly string[];
}

/** Controllers, host devices and the rest, each at its guest address: a bus of libvirt is the index of the controller above. */
export function libvirtDevices(hosts: readonly PlacedHost[], machine: Machine): LibvirtDevices {
  const functions = allPlaced(hosts).filter((fn) => !isOfBoard(fn, machine));
  knownDevices(functions);
  const aliases = aliasesOf(functions);
  const buses = new Map<string, number>();
  for (const { id, bridge } of functions) if (bridge) buses.set(id, buses.size + 1);
  const busOf = ({ parent }: PlacedFunction) => (parent ? (buses.get(parent.id) ?? 0) : 0);
  const elements: Element[] = [];
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
      const bus = fn.parent ? (aliases.get(fn.parent.id) ?? '') : 'pcie.0';
      const multifunction = shared ? ',multifunction=on' : '';
      const slot = `0x${address.device.toString(16)}.${address.fn}`;
      words.push('-device', `${wanted?.qemuDevice ?? ''},id=${alias},bus=${bus},addr=${slot}${multifunction}`);
    }
  }
  const notes =
    words.length > 0 ? ['devices that QEMU emulates are on its command line, where libvirt does not manage them'] : [];
  return { elements, words, overrides, notes };
}

/** Names that libvirt takes of users: `ua-`, then letters, digits, `_` and `-`. */
function aliasesOf(functions: readonly PlacedFunction[]): Map<string, string> {
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
