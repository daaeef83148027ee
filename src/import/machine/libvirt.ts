import type { XmlElement } from '@rgrove/parse-xml';
import { hex } from '../../address/format.js';
import { arches } from '../../machine/model.js';
import type { Bdf } from '../../pci/bdf.js';
import { Problem } from '../../problem/problem.js';
import { parseQemuArgs } from '../../qemu/args/command-line.js';
import type { Capture } from '../capture/model.js';
import { commandPart, boardOfType } from './qemu.js';
import { sizeText } from './endpoint.js';
import { machineOfSpec, type DeviceSpec, type ToldMachine } from './specs.js';
import { addressOf, driverOf, number } from './libvirt-devices.js';
import { hintsOf, type Property } from './told-devices.js';
import { attribute, childOf, childrenOf, parseRoot } from './xml.js';

/**
 * The machine file of a libvirt domain.
 * @param capture of the host, for the BARs of devices that are passed through
 * @throws Problem `xml-syntax`, `xml-too-large`, `domain-board`, and as {@link machineOfSpec} does
 */
export function machineOfDomain(text: string, file: string, capture?: Capture): ToldMachine {
  const root = parseRoot(text, file);
  if (root.name !== 'domain') {
    throw new Problem('domain-xml', `${file} holds <${root.name.slice(0, 40)}>, and not <domain>`, { where: { file } });
  }
  const type = childOf(childOf(root, 'os'), 'type');
  const machine = attribute(type, 'machine') ?? '';
  const arch = arches.find((one) => one === attribute(type, 'arch'));
  const found = boardOfType(machine.replace(/-rhel[\w.-]+$/, ''), arch);
  if (!found) {
    throw new Problem(
      'domain-board',
      `pinbar does not know the memory map of machine ${machine.slice(0, 60) || 'without a name'}`,
      {
        where: { file },
        hint: 'it knows virt of aarch64 and riscv64, and the versions of q35 and pc',
      },
    );
  }
  const { board, release } = found;
  const notes: string[] = [];
  const devices = childOf(root, 'devices');
  const specs = [...controllers(root, board.name), ...endpoints(devices, notes)];
  const more = commandPart(qemuWordsOf(root), board);
  const bits = bitsOf(childOf(root, 'cpu'), capture);
  const maximum = childOf(root, 'maxMemory');
  const told = machineOfSpec(
    {
      board,
      ...(release ? { qemu: release } : {}),
      ram: memoryOf(childOf(root, 'memory')) ?? 0n,
      ...(bits === undefined || board.arch !== 'x86_64' ? {} : { physicalAddressBits: bits }),
      properties: {
        ...(maximum ? { maxmem: sizeText(memoryOf(maximum) ?? 0n), slots: attribute(maximum, 'slots') ?? '0' } : {}),
        ...more.properties,
      },
      devices: [...placed(specs, board.name, notes), ...more.devices],
      pins: more.pins,
    },
    capture,
  );
  const hole = childrenOf(devices, 'controller').flatMap((one) => childrenOf(one, 'pcihole64'))[0];
  if (hole)
    notes.push('pcihole64 is an offer to firmware, and a machine file has none: pinbar size says what it has to be');
  return { ...told, notes: [...notes, ...told.notes] };
}

const units: Readonly<Record<string, bigint>> = {
  b: 1n,
  bytes: 1n,
  kb: 1000n,
  k: 1n << 10n,
  kib: 1n << 10n,
  mb: 1_000_000n,
  m: 1n << 20n,
  mib: 1n << 20n,
  gb: 1_000_000_000n,
  g: 1n << 30n,
  gib: 1n << 30n,
  t: 1n << 40n,
  tib: 1n << 40n,
};

/** libvirt's scaled integer; KiB where there is no unit. */
function memoryOf(element: XmlElement | undefined): bigint | undefined {
  const digits = element?.text.trim() ?? '';
  const unit = units[(attribute(element, 'unit') ?? 'KiB').toLowerCase()];
  return /^\d{1,20}$/.test(digits) && unit !== undefined ? BigInt(digits) * unit : undefined;
}

/** `<maxphysaddr mode='emulate' bits='42'/>`; passthrough means the host's, up to `limit`. */
function bitsOf(cpu: XmlElement | undefined, capture: Capture | undefined): number | undefined {
  const element = childOf(cpu, 'maxphysaddr');
  const bits = Number(attribute(element, 'bits'));
  if (bits >= 32 && bits <= 64) return bits;
  const host = capture?.host.physicalAddressBits;
  if (attribute(element, 'mode') === 'passthrough') {
    const limit = Number(attribute(element, 'limit') ?? 64);
    return host === undefined ? undefined : Math.min(host, limit);
  }
  // libvirt says nothing to QEMU then: host and max CPUs have the host's, models 40.
  return /^host-passthrough|^maximum/.test(attribute(cpu, 'mode') ?? '') ? host : 40;
}

interface Placeable {
  readonly spec: DeviceSpec;
  readonly at: ReturnType<typeof addressOf>;
  /** The bus that it makes, by number. */
  readonly index?: number;
}

const bridgeDrivers: Readonly<Record<string, string>> = {
  'pcie-root-port': 'pcie-root-port',
  'pcie-switch-upstream-port': 'x3130-upstream',
  'pcie-switch-downstream-port': 'xio3130-downstream',
  'pcie-to-pci-bridge': 'pcie-pci-bridge',
  'pci-bridge': 'pci-bridge',
  'dmi-to-pci-bridge': 'i82801b11-bridge',
};

function controllers(root: XmlElement, board: string): Placeable[] {
  return childrenOf(childOf(root, 'devices'), 'controller')
    .filter((one) => attribute(one, 'type') === 'pci')
    .flatMap((one): Placeable[] => {
      const model = attribute(one, 'model') ?? '';
      if (model === 'pcie-root' || model === 'pci-root') return [];
      const driver = bridgeDrivers[model];
      if (driver === undefined) {
        throw new Problem(
          'domain-controller',
          `pinbar does not take domains with a ${model.slice(0, 60) || 'pci'} controller yet`,
          {
            hint: 'write the machine file by hand: a host bridge of its own under hostBridges',
            facts: { model, board },
          },
        );
      }
      const index = number(attribute(one, 'index'));
      const name = attribute(childOf(one, 'model'), 'name');
      const target = childOf(one, 'target');
      const hotplug = /root-port|downstream/.test(model) && attribute(target, 'hotplug') !== 'off';
      const hints = hintsOf(overrides(root, aliasOf(one)));
      const spec: DeviceSpec = {
        driver: name === 'ioh3420' ? name : driver,
        id: aliasOf(one) ?? `pci.${Number.isNaN(index) ? '' : index}`,
        ...(hotplug ? { hotplug } : {}),
        ...(Object.keys(hints).length > 0 ? { hints } : {}),
      };
      return [{ spec, at: addressOf(one), index }];
    })
    .sort((a, b) => (a.index ?? 0) - (b.index ?? 0));
}

/** `<qemu:override><qemu:device alias=><qemu:frontend><qemu:property name= value=/>`: what libvirt says to QEMU of a device besides. */
function overrides(root: XmlElement, alias: string | undefined): Property {
  const named = (element: XmlElement, name: string) =>
    element.children.filter(
      (child): child is XmlElement => child.type === 'element' && (child as XmlElement).name.split(':').at(-1) === name,
    );
  const properties = named(root, 'override')
    .flatMap((one) => named(one, 'device'))
    .filter((one) => alias !== undefined && attribute(one, 'alias') === alias)
    .flatMap((one) => named(one, 'frontend'))
    .flatMap((one) => named(one, 'property'));
  return (key) =>
    attribute(
      properties.findLast((one) => attribute(one, 'name') === key),
      'value',
    );
}

const aliasOf = (element: XmlElement): string | undefined => attribute(childOf(element, 'alias'), 'name');

function endpoints(devices: XmlElement | undefined, notes: string[]): Placeable[] {
  const counts = new Map<string, number>();
  const found: Placeable[] = [];
  for (const element of devices?.children ?? []) {
    if (element.type !== 'element') continue;
    const one = element as XmlElement;
    const driver = driverOf(one);
    if (driver === undefined) continue;
    // As libvirt calls them: net0, scsi0, hostdev0.
    const name =
      one.name === 'interface' ? 'net' : one.name === 'controller' ? (attribute(one, 'type') ?? '') : one.name;
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    const at = addressOf(one);
    // The board has these itself: hw/i386/pc_q35.c.
    if (driver === 'ich9-ahci' && at?.bus === 0 && at.slot.device === 0x1f) continue;
    const host = driver === 'vfio-pci' ? sourceOf(one) : undefined;
    if (driver === 'vfio-pci' && !host)
      notes.push(`<${one.name}> ${count + 1} does not say which function of the host it is`);
    const memory = one.name === 'shmem' ? memoryOf(childOf(one, 'size')) : undefined;
    const spec: DeviceSpec = {
      driver,
      id: aliasOf(one) ?? `${name}${count}`,
      ...(host ? { host } : {}),
      ...(memory === undefined ? {} : { sizes: new Map([[2, memory]]) }),
    };
    found.push({ spec, at });
  }
  return found;
}

/** `<source><address domain= bus= slot= function=/></source>`: the host's function. */
function sourceOf(element: XmlElement): Bdf | undefined {
  const address = childOf(childOf(element, 'source'), 'address');
  const [segment, bus, device, fn] = ['domain', 'bus', 'slot', 'function'].map((key) =>
    number(attribute(address, key) ?? '0'),
  );
  if (!address || segment === undefined || bus === undefined || device === undefined || fn === undefined)
    return undefined;
  return segment <= 0xffff_ffff && bus < 256 && device < 32 && fn < 8 ? { segment, bus, device, fn } : undefined;
}

/**
 * Each device on the bus that its address names. Those without one, which libvirt would give them, come to ports that are
 * empty, or to ports of their own.
 */
function placed(all: readonly Placeable[], board: string, notes: string[]): DeviceSpec[] {
  const root = board === 'pc' ? 'pci.0' : 'pcie.0';
  const byIndex = new Map(all.flatMap(({ index, spec }) => (index === undefined ? [] : [[index, spec] as const])));
  const used = new Set(all.flatMap(({ at }) => at?.bus ?? []));
  const without: string[] = [];
  const specs: DeviceSpec[] = [];
  let made = 0;
  for (const { spec, at, index } of all) {
    if (at) {
      const above = byIndex.get(at.bus);
      if (at.bus !== 0 && !above) {
        throw new Problem('domain-bus', `${spec.id} lies on bus ${hex(at.bus)}, and no controller has index ${at.bus}`);
      }
      specs.push({ ...spec, bus: above ? above.id : root, slot: at.slot });
      continue;
    }
    without.push(spec.id);
    if (board === 'pc' || index !== undefined) {
      specs.push({ ...spec, bus: root });
      continue;
    }
    const empty = [...byIndex].find(([number, port]) => port.driver === 'pcie-root-port' && !used.has(number));
    if (empty) used.add(empty[0]);
    const port: DeviceSpec = { driver: 'pcie-root-port', id: `added-port-${++made}`, hotplug: true };
    if (!empty) specs.push({ ...port, bus: root });
    specs.push({ ...spec, bus: empty ? empty[1].id : port.id });
  }
  if (without.length > 0) {
    notes.push(
      `without an address in the XML, so libvirt chooses one, and pinbar chose: ${without.slice(0, 20).join(', ')}; virsh dumpxml of the defined domain has them`,
    );
  }
  return specs;
}

/** `<qemu:commandline><qemu:arg value='…'/>`, whatever the prefix. */
function qemuWordsOf(root: XmlElement) {
  const words = root.children
    .filter(
      (child): child is XmlElement =>
        child.type === 'element' && /(?:^|:)commandline$/.test((child as XmlElement).name),
    )
    .flatMap((line) => line.children.filter((child): child is XmlElement => child.type === 'element'))
    .filter(({ name }) => /(?:^|:)arg$/.test(name))
    .map((arg) => attribute(arg, 'value') ?? '');
  return parseQemuArgs(['qemu', ...words]);
}
