import { alignUp } from '../../address/align.js';
import { FOUR_GIB, GiB, KiB } from '../../address/kinds.js';
import { totalRam } from '../../machine/implied.js';
import type { Machine } from '../../machine/model.js';
import type { Plan } from '../../place/plan.js';
import { parseSize } from '../../address/format.js';
import type { Exported, ExportSource } from '../exported.js';
import { allPlaced, layoutOf, requireMachine } from '../layout.js';
import { qemuBoard } from '../qemu/machine.js';
import { pinWords } from '../qemu/pins.js';
import { furtherNotes, rootBuses } from '../qemu/root-buses.js';
import { libvirtDevices } from './devices.js';
import { element, xmlText, type Element } from './xml.js';

const QEMU_NAMESPACE = 'http://libvirt.org/schemas/domain/qemu/1.0';
/** QEMU's default for pci-hole64-size on q35 (hw/i386/pc_q35.c, hw/pci-host/q35.c). */
const DEFAULT_HOLE64 = 32n * GiB;

/**
 * A plan's machine as a libvirt domain: controllers and host devices at their guest addresses. Disks, networks and the like are
 * left to the user.
 * @throws Problem `export-needs-machine`, `export-board`, `export-device`, `export-mismatch`
 */
export function exportLibvirt(source: ExportSource): Exported {
  const machine = requireMachine(source.machine, 'board, ports and devices, which libvirt has to be told');
  const hosts = layoutOf(source.plan, machine);
  const board = qemuBoard(machine);
  const { elements, words, overrides, notes } = libvirtDevices(hosts, machine);
  const [, ...properties] = board.machine.split(',');
  const own = properties.filter((word) => !asElement.test(word));
  const command = [...(own.length > 0 ? ['-machine', own.join(',')] : []), ...words];
  const needsQemu = command.length > 0 || overrides.length > 0;
  const pins = allPlaced(hosts).reduce((sum, fn) => sum + pinWords(fn).length, 0);
  const content = xmlText(
    element('domain', { type: 'kvm', ...(needsQemu ? { 'xmlns:qemu': QEMU_NAMESPACE } : {}) }, [
      element('name', {}, 'pinbar'),
      ...memory(machine),
      element('vcpu', {}, '1'),
      element('os', {}, [element('type', { arch: machine.arch, machine: machine.board }, 'hvm')]),
      ...features(machine),
      cpu(machine),
      element('devices', {}, [root(machine, source.plan), ...elements, ...iommu(machine), ...nothingElse]),
      ...(command.length > 0
        ? [
            element(
              'qemu:commandline',
              {},
              command.map((value) => element('qemu:arg', { value })),
            ),
          ]
        : []),
      ...(overrides.length > 0 ? [element('qemu:override', {}, overrides)] : []),
    ]),
  );
  return {
    content,
    notes: [
      ...board.notes,
      ...furtherNotes(rootBuses(hosts, machine).further, machine),
      ...notes,
      ...(pins > 0
        ? [`${pins === 1 ? 'one address is' : `${pins} addresses are`} pinned, which libvirt has no element for`]
        : []),
    ],
  };
}

/** Board properties that libvirt has elements for. */
const asElement = /^(?:gic-version=(?:2|3|host)|iommu=smmuv3)$/;

function memory(machine: Machine): Element[] {
  const { maxmem, slots } = machine.properties;
  const kib = (bytes: bigint) => String(bytes / KiB);
  const size = typeof maxmem === 'bigint' ? maxmem : typeof maxmem === 'string' ? parseSize(maxmem) : undefined;
  return [
    ...(size === undefined ? [] : [element('maxMemory', { slots: String(slots ?? 1), unit: 'KiB' }, kib(size))]),
    element('memory', { unit: 'KiB' }, kib(totalRam(machine))),
  ];
}

/** Without <acpi/>, libvirt switches ACPI off. On aarch64 it refuses <acpi/> where no UEFI firmware is said, which is the user's. */
function features({ arch, properties }: Machine): Element[] {
  const version = String(properties['gic-version'] ?? '');
  const found = [
    ...(arch === 'x86_64' ? [element('acpi')] : []),
    ...(['2', '3', 'host'].includes(version) ? [element('gic', { version })] : []),
  ];
  return found.length > 0 ? [element('features', {}, found)] : [];
}

/** Devices that libvirt adds where nothing is said of them, in the first free port: it would take those of the plan's devices. */
const nothingElse: readonly Element[] = [
  element('controller', { type: 'usb', model: 'none' }),
  element('memballoon', { model: 'none' }),
];

const iommu = ({ properties }: Machine): Element[] =>
  properties['iommu'] === 'smmuv3' ? [element('iommu', { model: 'smmuv3' })] : [];

/** <maxphysaddr> is x86's. With maxMemory, libvirt wants a NUMA node. */
function cpu(machine: Machine): Element {
  const { arch, physicalAddressBits: bits, properties } = machine;
  const address =
    arch === 'x86_64' && bits !== undefined ? [element('maxphysaddr', { mode: 'emulate', bits: String(bits) })] : [];
  const cell = { id: '0', cpus: '0', memory: String(totalRam(machine) / KiB), unit: 'KiB' };
  const numa = properties['maxmem'] === undefined ? [] : [element('numa', {}, [element('cell', cell)])];
  return element('cpu', { mode: 'host-passthrough' }, [...address, ...numa]);
}

/** The root bus; on a PC with the 64-bit hole that the plan needs, where QEMU’s own is too small. */
function root({ board }: Machine, plan: Plan): Element {
  const hole = hole64(plan);
  const wide = (board === 'q35' || board === 'pc') && hole > DEFAULT_HOLE64;
  return element(
    'controller',
    { type: 'pci', index: '0', model: board === 'pc' ? 'pci-root' : 'pcie-root' },
    wide ? [element('pcihole64', { unit: 'KiB' }, String(hole / KiB))] : [],
  );
}

/** From the lowest address above 4 GiB to the highest, in whole GiB: the hole begins at the lowest (q35_host_get_pci_hole64_end). */
function hole64({ functions, bridges }: Plan): bigint {
  const ranges = [
    ...functions.flatMap(({ bars, sriov }) => [
      ...bars.map(({ address, size }) => [address, address + size] as const),
      ...(sriov?.bars ?? []).map(({ address, size, count }) => [address, address + size * BigInt(count)] as const),
    ]),
    ...bridges.flatMap(({ prefetchable: range }) => (range ? [[range.base, range.limit + 1n] as const] : [])),
  ].filter(([base]) => base >= FOUR_GIB);
  if (ranges.length === 0) return 0n;
  const low = ranges.reduce((least, [base]) => (base < least ? base : least), ranges[0]?.[0] ?? 0n);
  const high = ranges.reduce((most, [, end]) => (end > most ? end : most), 0n);
  return alignUp(high - low, GiB);
}
