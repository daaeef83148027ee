import type { FirmwareVersion, GuestArch, KernelVersion, QemuVersion } from './lab.js';
import type { PluggedDevice } from './plug.js';

/** A machine that fails, or looks as if it did. */
export interface Failure {
  /** The cause that its text has to show, or `nothing`. */
  readonly cause: string;
  /** What is special about it: together with the cause the name of its recording. */
  readonly name: string;
  readonly arch: GuestArch;
  readonly qemu: QemuVersion;
  readonly firmware?: FirmwareVersion;
  /** Properties of the board. */
  readonly board?: string;
  readonly kernel?: KernelVersion;
  /** In place of the best CPU that there is. */
  readonly cpu?: string;
  readonly kernelArguments?: string;
  /** How the machine's device tree is changed: the guest keeps what it finds, or the host bridge has no window below 4 GiB. */
  readonly tree?: 'probe-only' | 'no-32bit-window';
  readonly devices: readonly string[];
  /** Devices that are plugged in when the guest has booted, and how many functions there are then. */
  readonly plug?: { readonly devices: readonly PluggedDevice[]; readonly functions: number };
  /** Shell commands that are run before the kernel's log is read, and may fail; their output is kept, too. */
  readonly before?: Readonly<Record<string, string>>;
  /** Shell commands in the guest whose output is kept, by name of the listing; `dmesg` in any case. */
  readonly listings?: Readonly<Record<string, string>>;
  /** QEMU itself refuses: no guest, what it prints on standard error is kept. */
  readonly refused?: readonly string[];
}

const displays = (bus: string, sizes: readonly string[]) =>
  sizes.map((size, i) => `secondary-vga,bus=${bus},addr=${(i + 3).toString(16)}.0,romfile=,vgamem_mb=${size}`);

/** `secondary-vga` has a 32-bit BAR of any size up to 512 MiB, `pci-testdev` a 64-bit prefetchable one. */
export const failures: readonly Failure[] = [
  {
    cause: 'alignment-no-slot',
    name: 'display-of-512m',
    arch: 'aarch64',
    qemu: '10.0',
    devices: displays('pcie.0', ['512']),
  },
  {
    cause: 'window-too-small-32bit',
    name: 'three-displays',
    arch: 'riscv64',
    qemu: '10.0',
    devices: displays('pcie.0', ['512', '256', '512']),
  },
  {
    cause: 'aperture64-too-small',
    name: 'one-tebibyte',
    arch: 'aarch64',
    qemu: '10.0',
    devices: ['pcie-root-port,id=rp1,chassis=1,addr=1.0', 'pci-testdev,bus=rp1,membar=1T'],
  },
  {
    cause: 'no-64bit-window',
    name: 'highmem-mmio-off',
    arch: 'aarch64',
    qemu: '10.0',
    board: 'highmem-mmio=off',
    devices: ['pcie-root-port,id=rp1,chassis=1,addr=1.0', 'pci-testdev,bus=rp1,membar=8G'],
  },
  {
    cause: 'bus-numbers-exhausted',
    name: 'sixteen-buses',
    arch: 'aarch64',
    qemu: '10.0',
    board: 'highmem-ecam=off',
    devices: Array.from(
      { length: 17 },
      (_, i) =>
        `pcie-root-port,id=rp${i},chassis=${i + 1},addr=${((i >> 3) + 1).toString(16)}.${i & 7}${i % 8 === 0 ? ',multifunction=on' : ''}`,
    ),
  },
  {
    cause: 'bridge-window-too-small',
    name: 'rejected-by-ovmf',
    arch: 'x86_64',
    qemu: '7.2',
    firmware: '2022.11',
    devices: [
      ...['512', '256', '256'].flatMap((size, i) => [
        `pcie-root-port,id=rp${i},chassis=${i + 1},addr=${(i + 1).toString(16)}.0`,
        `secondary-vga,bus=rp${i},romfile=,vgamem_mb=${size}`,
      ]),
    ],
  },
  {
    cause: 'decode-disabled-no-driver',
    name: 'test-device',
    arch: 'aarch64',
    qemu: '10.0',
    devices: ['pcie-root-port,id=rp1,chassis=1,addr=1.0', 'pci-testdev,bus=rp1,membar=64M'],
    listings: { lspci: 'lspci -vvv -s 01:00.0' },
  },
  {
    cause: 'benign-noise',
    name: 'io-of-many-ports',
    arch: 'x86_64',
    qemu: '10.0',
    devices: Array.from({ length: 18 }, (_, i) => [
      `pcie-root-port,id=rp${i},chassis=${i + 1},addr=${((i >> 3) + 1).toString(16)}.${i & 7}${i % 8 === 0 ? ',multifunction=on' : ''}`,
    ]).flat(),
  },
  {
    cause: 'nothing',
    name: 'seabios',
    arch: 'x86_64',
    qemu: '10.0',
    devices: [
      'pcie-root-port,id=rp1,chassis=1,addr=1.0',
      'nvme,serial=1,bus=rp1',
      'pci-testdev,addr=3.0,membar=1G',
      'virtio-net-pci,addr=4.0',
    ],
    listings: { lspci: 'lspci -vvv', iomem: 'cat /proc/iomem' },
  },
  {
    cause: 'bridge-window-too-small',
    name: 'plugged-in-behind-a-switch',
    arch: 'aarch64',
    qemu: '10.0',
    devices: [
      ...['pcie-root-port,id=rp1,chassis=1,addr=1.0', 'x3130-upstream,id=up,bus=rp1'],
      ...['xio3130-downstream,id=dn0,bus=up,chassis=2,addr=0.0', 'xio3130-downstream,id=dn1,bus=up,chassis=3,addr=1.0'],
    ],
    plug: { devices: [{ driver: 'pci-testdev', id: 'hot', bus: 'dn0', membar: 2 ** 26 }], functions: 6 },
  },
  {
    cause: 'bridge-window-too-small',
    name: 'plugged-in-by-acpi',
    arch: 'x86_64',
    qemu: '10.0',
    devices: ['pcie-root-port,id=rp1,chassis=1,addr=1.0,pref64-reserve=32M'],
    plug: { devices: [{ driver: 'pci-testdev', id: 'hot', bus: 'rp1', membar: 2 ** 26 }], functions: 6 },
  },
  {
    cause: 'bus-numbers-exhausted',
    name: 'switch-plugged-in',
    arch: 'aarch64',
    qemu: '10.0',
    devices: ['pcie-root-port,id=rp1,chassis=1,addr=1.0'],
    plug: { devices: [{ driver: 'x3130-upstream', id: 'hot', bus: 'rp1' }], functions: 3 },
  },
  {
    cause: 'window-reserved-by-firmware',
    name: 'below-one-tebibyte-on-amd',
    arch: 'x86_64',
    qemu: '10.0',
    devices: ['pcie-root-port,id=rp1,chassis=1,addr=1.0,pref64-reserve=4G'],
    plug: { devices: [{ driver: 'pci-testdev', id: 'hot', bus: 'rp1', membar: 2 ** 26 }], functions: 6 },
  },
  {
    cause: 'sriov-vf-bars-no-space',
    name: 'nvme',
    arch: 'x86_64',
    qemu: '10.0',
    // SeaBIOS opens 2 MiB for the port, and knows nothing of the 127 VFs with 16 KiB each.
    kernelArguments: 'pci=realloc=off',
    devices: [
      ...['pcie-root-port,id=rp1,chassis=1,addr=1.0', 'nvme-subsys,id=sub'],
      'nvme,serial=1,subsys=sub,bus=rp1,sriov_max_vfs=127,sriov_vq_flexible=254,sriov_vi_flexible=254,max_ioqpairs=256,msix_qsize=2048',
    ],
    before: { enable: 'sh -c "echo 4 >/sys/bus/pci/devices/0000:01:00.0/sriov_numvfs"' },
  },
  {
    cause: 'firmware-did-not-assign',
    name: 'probe-only',
    arch: 'aarch64',
    qemu: '10.0',
    tree: 'probe-only',
    kernel: '6.1',
    devices: ['nvme,serial=1,addr=2.0'],
  },
  {
    cause: 'no-32bit-window',
    name: 'tree-without-one',
    arch: 'aarch64',
    qemu: '10.0',
    tree: 'no-32bit-window',
    devices: ['pcie-root-port,id=rp1,chassis=1,addr=1.0', 'nvme,serial=1,bus=rp1'],
  },
  {
    cause: 'aperture64-too-small',
    name: 'ovmf-left-it-out',
    arch: 'x86_64',
    qemu: '10.0',
    firmware: '2025.02',
    cpu: 'max,phys-bits=38',
    devices: ['pcie-root-port,id=rp1,chassis=1,addr=1.0', 'pci-testdev,bus=rp1,membar=64G'],
  },
  {
    cause: 'phys-bits-too-small',
    name: 'bar-beyond-36-bits',
    arch: 'x86_64',
    qemu: '10.0',
    cpu: 'max,phys-bits=36',
    devices: ['pcie-root-port,id=rp1,chassis=1,addr=1.0', 'pci-testdev,bus=rp1,membar=64G'],
  },
  {
    cause: 'phys-bits-too-small',
    name: 'pentium',
    arch: 'x86_64',
    qemu: '10.0',
    devices: [],
    refused: ['-machine', 'q35', '-cpu', 'pentium', '-m', '10G', '-display', 'none'],
  },
  {
    cause: 'phys-bits-too-small',
    name: 'pci-hole',
    arch: 'x86_64',
    qemu: '10.0',
    devices: [],
    // prettier-ignore
    refused: ['-machine', 'q35', '-cpu', 'qemu64,phys-bits=36', '-global', 'q35-pcihost.pci-hole64-size=64G', '-m', '8G', '-display', 'none'],
  },
];
