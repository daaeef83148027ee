import {
  boardOf,
  firmwareDrives,
  kernelImage,
  qemuBinary,
  ubootFile,
  type GuestArch,
  type KernelVersion,
  type Part,
} from '../lab/lab.js';

/** Who places, on which board: what QEMU runs, and what says that it is done. */
export interface Flavour {
  readonly name: string;
  readonly arch: GuestArch;
  /** As `pinbar predict --guest` has it. */
  readonly guest: string;
  readonly needs: readonly Part[];
  /** Board, CPU and firmware. */
  readonly argv: readonly string[];
  /** The kernel that prints what it made of it; without one, what the registers hold when the firmware is done. */
  readonly kernel?: { readonly version: KernelVersion; readonly image: string };
  /** Typed once the console says something, in this order. */
  readonly typed?: readonly (readonly [when: RegExp, keys: string])[];
  /** On the console: the firmware has enumerated. */
  readonly done?: RegExp;
  /** How many fresh topologies the tests boot, where it is not ten. */
  readonly fresh?: number;
  /** On the console: the firmware has given up. */
  readonly stopped?: RegExp;
}

const QEMU = '10.0';

function flavour(
  name: string,
  arch: GuestArch,
  rest: Omit<Flavour, 'name' | 'arch' | 'argv' | 'needs'> & {
    readonly argv?: readonly string[];
    readonly needs: readonly Part[];
  },
): Flavour {
  const { machine, cpu } = boardOf(arch);
  const qemu: Part = arch === 'aarch64' ? `qemu-${QEMU}` : `qemu-${QEMU}-${arch}`;
  return {
    ...rest,
    name,
    arch,
    needs: [qemu, ...rest.needs],
    argv: [qemuBinary(QEMU, arch), '-machine', machine, ...cpu, '-nodefaults', ...(rest.argv ?? [])],
  };
}

const kernel = (version: KernelVersion, arch: GuestArch) => ({ version, image: kernelImage(version, arch) });

/** SeaBIOS talks on a port of its own. */
const seabios = ['-chardev', 'file,id=seabios,path=@console@', '-device', 'isa-debugcon,iobase=0x402,chardev=seabios'];
const SEABIOS_DONE = /Scan for VGA option rom|Press ESC for boot menu|No bootable device/;
const SEABIOS_STOPPED = /PCI: out of (?:I\/O |32bit )?address space/;
/** U-Boot enumerates when something is looked for on PCI, which may be never. */
const uboot = {
  guest: 'uboot',
  typed: [
    [/Hit any key to stop autoboot/, ' '],
    [/^=> /m, 'pci enum\n'],
  ],
  done: /^=> pci enum\n[^]*^=> /m,
} as const;
/** U-Boot takes kernel, initrd and arguments from QEMU, and hands on the tree that it has itself. */
const bootKernel = [
  [uboot.done, 'qfw load 42000000 60000000\n'],
  [/^=> qfw load [^]*^=> /m, 'booti 42000000 60000000:$filesize $fdtcontroladdr\n'],
] as const;
const BOOT_MANAGER = /BdsDxe: |UEFI Interactive Shell|Boot0001|Press any key to enter/;

/** All that the lab's guests allow for. */
export const recordable: readonly Flavour[] = [
  flavour('linux-dt-arm64-6.1', 'aarch64', {
    guest: 'linux-6.1',
    needs: ['linux-6.1', 'guest'],
    kernel: kernel('6.1', 'aarch64'),
  }),
  flavour('linux-dt-arm64-6.12', 'aarch64', {
    guest: 'linux-6.12',
    needs: ['linux-6.12', 'guest'],
    kernel: kernel('6.12', 'aarch64'),
  }),
  flavour('linux-dt-riscv64-6.12', 'riscv64', {
    guest: 'linux-6.12',
    needs: ['linux-6.12-riscv64', 'guest-riscv64'],
    kernel: kernel('6.12', 'riscv64'),
  }),
  flavour('seabios-q35', 'x86_64', {
    guest: 'seabios-1.16.3',
    needs: [],
    argv: seabios,
    done: SEABIOS_DONE,
    stopped: SEABIOS_STOPPED,
  }),
  flavour('seabios-q35-linux-6.12', 'x86_64', {
    guest: 'seabios-1.16.3,linux-6.12',
    needs: ['linux-6.12-x86_64', 'guest-x86_64'],
    argv: seabios,
    kernel: kernel('6.12', 'x86_64'),
    stopped: SEABIOS_STOPPED,
  }),
  flavour('uboot-arm64', 'aarch64', {
    ...uboot,
    needs: ['u-boot'],
    argv: ['-bios', ubootFile('aarch64')],
  }),
  flavour('uboot-arm64-linux-6.12', 'aarch64', {
    guest: 'uboot,linux-6.12',
    needs: ['u-boot', 'linux-6.12', 'guest'],
    argv: ['-bios', ubootFile('aarch64')],
    kernel: kernel('6.12', 'aarch64'),
    typed: [...uboot.typed, ...bootKernel],
    fresh: 4,
  }),
  flavour('uboot-riscv64', 'riscv64', {
    ...uboot,
    needs: ['u-boot-riscv64'],
    // Behind OpenSBI.
    argv: ['-kernel', ubootFile('riscv64')],
  }),
  flavour('edk2-arm64', 'aarch64', {
    guest: 'edk2-2022.11',
    needs: ['edk2-2022.11'],
    argv: firmwareDrives('2022.11', 'aarch64'),
    done: BOOT_MANAGER,
  }),
  flavour('ovmf-q35', 'x86_64', {
    guest: 'ovmf-2022.11',
    needs: ['edk2-2022.11-x86_64'],
    argv: firmwareDrives('2022.11', 'x86_64'),
    done: BOOT_MANAGER,
  }),
  flavour('edk2-arm64-2025.02', 'aarch64', {
    guest: 'edk2-2025.02',
    needs: ['edk2-2025.02'],
    argv: firmwareDrives('2025.02', 'aarch64'),
    done: BOOT_MANAGER,
    fresh: 2,
  }),
  flavour('edk2-riscv64-2025.02', 'riscv64', {
    guest: 'edk2-2025.02',
    needs: ['edk2-2025.02-riscv64'],
    argv: firmwareDrives('2025.02', 'riscv64'),
    done: BOOT_MANAGER,
    fresh: 2,
  }),
  flavour('ovmf-q35-2025.02', 'x86_64', {
    guest: 'ovmf-2025.02',
    needs: ['edk2-2025.02-x86_64'],
    argv: firmwareDrives('2025.02', 'x86_64'),
    done: BOOT_MANAGER,
    fresh: 2,
  }),
];
