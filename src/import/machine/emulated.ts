import type { BarType, BridgeKind } from '../../machine/model.js';

/** What QEMU gives a device that it emulates. */
export interface EmulatedDevice {
  /** Base class and subclass. */
  readonly class: number;
  readonly bars: readonly EmulatedBar[];
  /** Bytes of the option ROM that comes with QEMU; undefined: none. */
  readonly rom?: bigint;
  readonly kind?: BridgeKind;
}

export interface EmulatedBar {
  readonly index: number;
  readonly type: BarType;
  readonly prefetchable: boolean;
  readonly size: bigint;
}

/**
 * Observed: each device was made in QEMU 7.2 and 10.0 and asked for by query-pci; test/e2e does it again. `class`, then BARs
 * (`p`: prefetchable). `legacy:` is BAR 0 of a virtio device that is not behind a PCI Express port (hw/virtio/virtio-pci.c,
 * virtio_pci_pre_plugged: disable-legacy=auto). Sizes that a property sets are those of its default.
 */
const observed: Readonly<Record<string, string>> = {
  'virtio-net-pci': '0200 legacy:32 1=mem32:4K 4=mem64p:16K rom:256K',
  'virtio-blk-pci': '0100 legacy:128 1=mem32:4K 4=mem64p:16K',
  'virtio-scsi-pci': '0100 legacy:64 1=mem32:4K 4=mem64p:16K',
  'virtio-rng-pci': '00ff legacy:32 1=mem32:4K 4=mem64p:16K',
  'virtio-balloon-pci': '00ff legacy:64 1=mem32:4K 4=mem64p:16K',
  'virtio-serial-pci': '0780 legacy:64 1=mem32:4K 4=mem64p:16K',
  'virtio-9p-pci': '0002 legacy:32 1=mem32:4K 4=mem64p:16K',
  'virtio-gpu-pci': '0380 1=mem32:4K 4=mem64p:16K',
  'virtio-vga': '0300 0=mem32p:8M 2=mem64p:16K 4=mem32:4K rom:64K',
  'virtio-keyboard-pci': '0900 1=mem32:4K 4=mem64p:16K',
  'virtio-mouse-pci': '0902 1=mem32:4K 4=mem64p:16K',
  'virtio-tablet-pci': '0980 1=mem32:4K 4=mem64p:16K',
  'virtio-crypto-pci': '00ff 1=mem32:4K 4=mem64p:16K',
  'virtio-sound-pci': '0401 1=mem32:4K 4=mem64p:16K',
  'virtio-mem-pci': '00ff 1=mem32:4K 4=mem64p:16K',
  'virtio-iommu-pci': '00ff 4=mem64p:16K',
  e1000: '0200 0=mem32:128K 1=io:64 rom:256K',
  e1000e: '0200 0=mem32:128K 1=mem32:128K 2=io:32 3=mem32:16K rom:256K',
  rtl8139: '0200 0=io:256 1=mem32:256 rom:256K',
  vmxnet3: '0200 0=mem32:4K 1=mem32:4K 2=mem32:8K rom:256K',
  nvme: '0108 0=mem64:16K',
  'ich9-ahci': '0106 4=io:32 5=mem32:4K',
  ahci: '0106 4=io:32 5=mem32:4K',
  'qemu-xhci': '0c03 0=mem64:16K',
  'nec-usb-xhci': '0c03 0=mem64:16K',
  'usb-ehci': '0c03 0=mem32:4K',
  'ich9-usb-ehci1': '0c03 0=mem32:4K',
  'ich9-usb-uhci1': '0c03 4=io:32',
  'ich9-usb-uhci2': '0c03 4=io:32',
  'ich9-usb-uhci3': '0c03 4=io:32',
  'intel-hda': '0403 0=mem32:16K',
  'ich9-intel-hda': '0403 0=mem32:16K',
  VGA: '0300 0=mem32p:16M 2=mem32:4K rom:64K',
  'secondary-vga': '0380 0=mem32p:16M 2=mem32:4K',
  'bochs-display': '0380 0=mem32p:16M 2=mem32:4K rom:32K',
  'cirrus-vga': '0300 0=mem32p:32M 1=mem32:4K rom:64K',
  qxl: '0380 0=mem32:64M 1=mem32:64M 2=mem32:8K 3=io:32',
  'qxl-vga': '0300 0=mem32:64M 1=mem32:64M 2=mem32:8K 3=io:32 rom:64K',
  'ivshmem-plain': '0500 0=mem32:256 2=mem64p:4M',
  'pci-testdev': '00ff 0=mem32:4K 1=io:256',
  edu: '00ff 0=mem32:1M',
  i6300esb: '0880 0=mem32:16',
  'pci-serial': '0700 0=io:8',
  pvscsi: '0100 0=mem32:32K',
  megasas: '0104 0=mem64:16K 2=io:256 3=mem64:256K',
  mptsas1068: '0100 0=io:256 1=mem32:16K 2=mem32:64K',
  lsi53c895a: '0100 0=io:256 1=mem32:1K 2=mem32:8K',
  'pvpanic-pci': '0880 0=mem32:16',
  'pcie-root-port': '0604 root-port 0=mem32:4K',
  ioh3420: '0604 root-port',
  'x3130-upstream': '0604 upstream-port',
  'xio3130-downstream': '0604 downstream-port',
  'pcie-pci-bridge': '0604 pcie-pci-bridge 0=mem64:256',
  'pci-bridge': '0604 pci-bridge 0=mem64:256',
  'i82801b11-bridge': '0604 pci-bridge',
};

export const emulatedDrivers: readonly string[] = Object.keys(observed);

const shifts = { '': 0n, K: 10n, M: 20n } as const;
const bytes = (digits: string, unit: string) => BigInt(digits) << shifts[unit as keyof typeof shifts];

/** `virtio-net` is short for `virtio-net-pci` on a board with PCI. Undefined: pinbar does not know the device. */
export function driverName(driver: string): string | undefined {
  const plain = driver.replace(/-(?:non-)?transitional$/, '');
  return [plain, `${plain}-pci`].find((name) => Object.hasOwn(observed, name));
}

/**
 * What a device of this kind has.
 * @param legacy whether a virtio device has its I/O BAR of old
 */
export function emulated(driver: string, legacy: boolean): EmulatedDevice | undefined {
  const name = driverName(driver);
  const words = name === undefined ? undefined : observed[name]?.split(' ');
  if (!words) return undefined;
  const bars: EmulatedBar[] = [];
  let rom: bigint | undefined;
  let kind: BridgeKind | undefined;
  for (const word of words.slice(1)) {
    const [, index = '0', type, p, digits, unit] = /^(?:(\d)=)?([a-z]+(?:32|64)?)(p?):(\d+)([KM]?)$/.exec(word) ?? [];
    if (digits === undefined) kind = word as BridgeKind;
    else if (type === 'rom') rom = bytes(digits, unit ?? '');
    else if (type !== 'legacy' || legacy) {
      const size = bytes(digits, unit ?? '');
      bars.push({
        index: Number(index),
        type: type === 'legacy' ? 'io' : (type as BarType),
        prefetchable: p === 'p',
        size,
      });
    }
  }
  const code = parseInt(words[0] ?? '', 16);
  return { class: code, bars, ...(rom === undefined ? {} : { rom }), ...(kind === undefined ? {} : { kind }) };
}
