import { join } from 'node:path';
import { output } from './console.js';
import { writeInitrd } from './initrd.js';
import {
  boardOf,
  fastKernelArguments,
  firmwareFile,
  kernelImage,
  qemuBinary,
  type GuestArch,
  type Part,
  type QemuVersion,
} from './lab.js';
import { runToEnd } from './run.js';

/** A machine that fails, or looks as if it did. */
export interface Failure {
  /** The cause that its text has to show, or `nothing`. */
  readonly cause: string;
  /** What is special about it: together with the cause the name of its recording. */
  readonly name: string;
  readonly arch: GuestArch;
  readonly qemu: QemuVersion;
  readonly firmware?: '2022.11';
  /** Properties of the board. */
  readonly board?: string;
  readonly devices: readonly string[];
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

/** Parts of the lab that a failure needs. */
export function partsOf({ arch, qemu, firmware, refused }: Failure): Part[] {
  const suffix = arch === 'aarch64' ? '' : `-${arch}`;
  return [
    `qemu-${qemu}${suffix}`,
    ...(refused ? [] : [`linux-6.12${suffix}`, `guest${suffix}`]),
    ...(firmware ? [`edk2-${firmware}${suffix}`] : []),
  ] as Part[];
}

/** Starts the machine and returns what it prints: QEMU's command and errors, or the guest's kernel log and listings. */
export async function provoke(failure: Failure, folder: string): Promise<string> {
  const { arch, qemu, board, devices, listings = {}, refused, firmware } = failure;
  const binary = qemuBinary(qemu, arch);
  if (refused) {
    const { errors } = await runToEnd([binary, ...refused]);
    // Programs name themselves by their path.
    const name = `qemu-system-${arch}`;
    return `$ ${name} ${refused.join(' ')}\n${errors.replaceAll(binary, name)}`;
  }
  const initrd = join(folder, 'initrd');
  const wanted = { dmesg: 'dmesg', ...listings };
  const script = Object.entries(wanted)
    .map(([name, command]) => `section ${name} ${command}`)
    .join('\n');
  writeInitrd(initrd, { script, arch, lspci: listings['lspci'] !== undefined });
  const { machine, cpu } = boardOf(arch);
  const flash = firmware
    ? [
        '-drive',
        `if=pflash,format=raw,unit=0,readonly=on,file=${firmwareFile(firmware, arch, 'code')}`,
        '-drive',
        `if=pflash,format=raw,unit=1,snapshot=on,file=${firmwareFile(firmware, arch, 'vars')}`,
      ]
    : [];
  const { boots, errors } = await runToEnd(
    [
      binary,
      ...['-machine', board ? `${machine},${board}` : machine, ...cpu, '-m', '1G', '-display', 'none'],
      ...['-nodefaults', '-serial', 'stdio', ...flash],
      ...devices.flatMap((device) => ['-device', device]),
      ...['-kernel', kernelImage('6.12', arch), '-initrd', initrd, '-append', fastKernelArguments[arch]],
    ],
    { seconds: 170 },
  );
  if (boots.length === 0) throw new Error(`${failure.name}: the guest did not boot\n${errors}`);
  return Object.keys(wanted)
    .map((name) => `${output(boots[0], name).trimEnd()}\n`)
    .join('\n');
}
