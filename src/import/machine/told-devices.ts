import { parseSize } from '../../address/format.js';
import { KiB, MiB } from '../../address/kinds.js';
import { parseBdf, parseSlot, type Bdf, type Slot } from '../../pci/bdf.js';
import { Problem } from '../../problem/problem.js';
import { driverName, emulated } from './emulated.js';
import type { GuestBar } from './endpoint.js';
import type { DeviceSpec } from './specs.js';

/** Devices of -device that are not on a PCI bus. */
const notPci =
  /^(?:usb-|scsi-|ide-|isa-|virtserialport|virtconsole|hda-|nvdimm|pc-dimm|cxl-type|tpm-|i2c-|smbus-|loader|guest-loader|ccid|u2f|nvme-(?:ns|subsys)|vfio-(?:platform|ap|ccw)|ramfb|vmcoreinfo|vmgenid|pvpanic$|intel-iommu|amd-iommu|arm-smmuv3|floppy|sd-card|emmc|ipmi-|sb16|adlib|gus|cs4231a|isabus|gpio-|can-bus)|-device$|-cpu$|^cpu-/;
/** QEMU's words for devices that make host bridges of their own. */
const hostBridges = /^(?:pxb|pxb-pcie|pxb-cxl|spapr-pci-host-bridge)$/;
const passedThrough = /^vfio-pci(?:-nohotplug|-igd-lpc-bridge)?$/;

export type Property = (key: string) => string | undefined;

/** A -device as a PCI device; undefined: it is none. */
export function deviceSpec(driver: string, id: string, property: Property, memory: (id: string) => bigint | undefined) {
  if (hostBridges.test(driver)) {
    throw new Problem('qemu-host-bridge', `${id}: pinbar does not take machines with ${driver} yet`, {
      hint: 'write the machine file by hand: a host bridge of its own under hostBridges',
      facts: { driver },
    });
  }
  const host = passedThrough.test(driver) ? hostOf(property) : undefined;
  const known = emulated(driver, false);
  const bus = property('bus');
  if (!host && !known && (notPci.test(driver) || bus?.includes('.') === true) && !/^pc(?:i|ie)\.\d+$/.test(bus ?? '')) {
    return undefined;
  }
  const slot = slotOf(property('addr'), id);
  const name = driverName(driver) ?? driver;
  const hints = known?.kind ? hintsOf(property) : {};
  const spec: DeviceSpec = {
    driver,
    id,
    ...(bus === undefined ? {} : { bus }),
    ...(slot ? { slot } : {}),
    ...(host ? { host } : {}),
    ...sizesOf(name, property, memory),
    ...(hotplugs(known?.kind, property) ? { hotplug: true } : {}),
    ...(Object.keys(hints).length > 0 ? { hints } : {}),
  };
  return spec;
}

/** hw/pci-bridge/pcie_root_port.c and xio3130_downstream.c: on unless it is said. */
const hotplugs = (kind: string | undefined, property: Property): boolean =>
  (kind === 'root-port' || kind === 'downstream-port') && !/^(?:off|no|false|n)$/.test(property('hotplug') ?? 'on');

function hostOf(property: Property): Bdf | undefined {
  const text =
    property('host') ?? /([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\/*$/i.exec(property('sysfsdev') ?? '')?.[1];
  return text === undefined ? undefined : parseBdf(text);
}

/** hw/core/qdev-properties-system.c, set_pci_devfn: hexadecimal, with or without 0x. */
function slotOf(text: string | undefined, id: string): Slot | undefined {
  if (text === undefined || text === '-1') return undefined;
  try {
    return parseSlot(text.replace(/^0x/i, ''));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new Problem('qemu-slot', `${id}: addr=${text.slice(0, 40)} is not a slot`, { hint: error.hint ?? '' });
  }
}

/** docs/pcie_pci_bridge.txt; -1 or nothing: firmware decides. */
export function hintsOf(property: Property): NonNullable<DeviceSpec['hints']> {
  const buses = property('bus-reserve');
  const amount = (key: string) => {
    const text = property(key);
    return text === undefined || text === '-1' ? undefined : text;
  };
  const amounts = {
    io: amount('io-reserve'),
    memory: amount('mem-reserve'),
    prefetchable32: amount('pref32-reserve'),
    prefetchable64: amount('pref64-reserve'),
  };
  return {
    ...(buses !== undefined && /^\d{1,3}$/.test(buses) ? { buses: Number(buses) } : {}),
    ...Object.fromEntries(Object.entries(amounts).filter(([, value]) => value !== undefined)),
  };
}

/** BARs whose size a property sets. */
function sizesOf(driver: string, property: Property, memory: (id: string) => bigint | undefined): Partial<DeviceSpec> {
  const size = (key: string, unit = 1n): bigint | undefined => {
    const text = property(key);
    return text === undefined ? undefined : parseSize(text) * unit;
  };
  const one = (index: number, found: bigint | undefined) =>
    found === undefined ? {} : { sizes: new Map([[index, powerOfTwo(found)]]) };
  const bar = (index: number, prefetchable: boolean, found: bigint | undefined): Partial<DeviceSpec> => {
    const made: GuestBar | undefined = found
      ? { index, type: 'mem64', prefetchable, size: powerOfTwo(found) }
      : undefined;
    return made ? { extra: [made] } : {};
  };
  switch (driver) {
    case 'VGA':
    case 'secondary-vga':
    case 'cirrus-vga':
      return one(0, size('vgamem_mb', MiB));
    case 'bochs-display':
      return one(0, size('vgamem'));
    case 'ivshmem-plain':
      return one(2, memory(property('memdev') ?? ''));
    case 'pci-testdev':
      return bar(2, true, size('membar'));
    case 'virtio-gpu-pci':
      // The region for blobs takes BAR 4, and virtio's own goes to BAR 2 (hw/display/virtio-gpu-pci.c).
      return { ...one(4, size('hostmem')), ...bar(2, true, property('hostmem') === undefined ? undefined : 16n * KiB) };
    default:
      return {};
  }
}

/** A BAR is the next power of two. */
function powerOfTwo(size: bigint): bigint {
  let found = 16n;
  while (found < size) found *= 2n;
  return found;
}
