import type { XmlElement } from '@rgrove/parse-xml';
import type { Slot } from '../../pci/bdf.js';
import { attribute, childOf, childrenOf } from './xml.js';

/** A number as libvirt writes it; NaN for anything else. */
export const number = (text: string | undefined): number =>
  text !== undefined && /^(?:0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : NaN;

export interface PciAddress {
  readonly bus: number;
  readonly slot: Slot;
}

/** `<address type='pci' bus= slot= function=/>`: the bus is a controller's index. */
export function addressOf(element: XmlElement): PciAddress | undefined {
  const address = childrenOf(element, 'address').find((one) => attribute(one, 'type') === 'pci');
  const [bus, device, fn] = ['bus', 'slot', 'function'].map((key) =>
    number(attribute(address, key) ?? (key === 'bus' ? '' : '0')),
  );
  if (bus === undefined || device === undefined || fn === undefined) return undefined;
  return bus >= 0 && bus < 256 && device >= 0 && device < 32 && fn >= 0 && fn < 8
    ? { bus, slot: { device, fn } }
    : undefined;
}

const nicDrivers: Readonly<Record<string, string>> = { virtio: 'virtio-net-pci', ne2k_pci: 'ne2k_pci' };
const videoDrivers: Readonly<Record<string, string>> = {
  vga: 'VGA',
  bochs: 'bochs-display',
  virtio: 'virtio-vga',
  qxl: 'qxl-vga',
  cirrus: 'cirrus-vga',
};
const soundDrivers: Readonly<Record<string, string>> = {
  ich6: 'intel-hda',
  ich9: 'ich9-intel-hda',
  ac97: 'AC97',
  virtio: 'virtio-sound-pci',
};
const usbDrivers: Readonly<Record<string, string>> = {
  'ich9-ehci1': 'ich9-usb-ehci1',
  'ich9-uhci1': 'ich9-usb-uhci1',
  'ich9-uhci2': 'ich9-usb-uhci2',
  'ich9-uhci3': 'ich9-usb-uhci3',
};

/** What an element of <devices> is on the PCI bus, as QEMU calls it; undefined: it is not on it. */
export function driverOf(element: XmlElement): string | undefined {
  const model = attribute(element, 'model') ?? attribute(childOf(element, 'model'), 'type') ?? '';
  switch (element.name) {
    case 'interface':
      return attribute(element, 'type') === 'hostdev' ? 'vfio-pci' : (nicDrivers[model] ?? (model || 'virtio-net-pci'));
    case 'disk':
      return attribute(childOf(element, 'target'), 'bus') === 'virtio' ? 'virtio-blk-pci' : undefined;
    case 'controller':
      return controllerDriver(attribute(element, 'type') ?? '', model, addressOf(element) !== undefined);
    case 'hostdev':
      return attribute(element, 'type') === 'pci' ? 'vfio-pci' : undefined;
    case 'video':
      return model === 'none' || model === 'ramfb' ? undefined : (videoDrivers[model] ?? (model || 'VGA'));
    case 'sound':
      return soundDrivers[model] ?? model;
    case 'memballoon':
      return model.startsWith('virtio') ? 'virtio-balloon-pci' : undefined;
    case 'rng':
      return 'virtio-rng-pci';
    case 'filesystem':
      return attribute(childOf(element, 'driver'), 'type') === 'virtiofs' ? 'vhost-user-fs-pci' : 'virtio-9p-pci';
    case 'input':
      return attribute(element, 'bus') === 'virtio'
        ? `virtio-${attribute(element, 'type') ?? 'tablet'}-pci`
        : undefined;
    case 'watchdog':
      return model === 'i6300esb' ? 'i6300esb' : undefined;
    case 'shmem':
      return 'ivshmem-plain';
    case 'vsock':
      return 'vhost-vsock-pci';
    default:
      return undefined;
  }
}

function controllerDriver(type: string, model: string, hasAddress: boolean): string | undefined {
  if (type === 'usb') return model === 'none' || model === '' ? undefined : (usbDrivers[model] ?? model);
  if (type === 'scsi')
    return model === 'virtio-scsi' || model === '' || model === 'virtio-transitional' ? 'virtio-scsi-pci' : model;
  if (type === 'virtio-serial') return 'virtio-serial-pci';
  // The first one is the board's own.
  return type === 'sata' && hasAddress ? 'ich9-ahci' : undefined;
}
