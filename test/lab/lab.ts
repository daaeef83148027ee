import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

export type QemuVersion = '7.2' | '10.0';
/** A QEMU with vfio-user; for aarch64 only. */
export type NewQemuVersion = '11.1';
export type KernelVersion = '6.12' | '6.1';
export type FirmwareVersion = '2022.11' | '2025.02';
export type GuestArch = 'aarch64' | 'riscv64' | 'x86_64';
type OfArch<Name extends string> = Name | `${Name}-${Exclude<GuestArch, 'aarch64'>}`;
/** What `scripts/lab/setup` can put into the lab. */
export type Part =
  | OfArch<`qemu-${QemuVersion}` | 'linux-6.12' | 'guest' | 'edk2-2025.02' | 'boot-loader'>
  | `qemu-${NewQemuVersion}`
  | 'linux-6.1'
  | 'u-boot'
  | 'xen-4.20'
  | 'u-boot-riscv64'
  | 'edk2-2022.11'
  | 'edk2-2022.11-x86_64';

/** A part's name for an architecture. */
const partOf = (name: string, arch: GuestArch): string => (arch === 'aarch64' ? name : `${name}-${arch}`);

/** Where `scripts/lab/setup` puts things. */
export const labFolder = resolve(process.env['PINBAR_LAB'] ?? join(import.meta.dirname, '../../.cache/lab'));

/** Debian's own QEMU, whatever the host has. Nothing but `exec` stands before the real program. */
export const qemuBinary = (version: QemuVersion | NewQemuVersion, arch: GuestArch = 'aarch64'): string =>
  join(labFolder, partOf(`qemu-${version}`, arch), `bin/qemu-system-${arch}`);

const kernelFolder = (version: KernelVersion, arch: GuestArch) => join(labFolder, partOf(`linux-${version}`, arch));

/** Debian's own kernel, as QEMU's -kernel takes it. */
export const kernelImage = (version: KernelVersion = '6.12', arch: GuestArch = 'aarch64'): string =>
  join(kernelFolder(version, arch), 'vmlinuz');

/** The modules to load, and `order`. */
export const kernelModules = (version: KernelVersion, arch: GuestArch): string =>
  join(kernelFolder(version, arch), 'modules');

/** Programs for the guest: `busybox` and `lspci` are trees to unpack. */
export const guestPrograms = (arch: GuestArch): string => join(labFolder, partOf('guest', arch));

/** EDK2 as Debian builds it: its code and variables, and both as they are with Secure Boot's keys. */
export const firmwareFile = (
  version: FirmwareVersion,
  arch: GuestArch,
  file: 'code' | 'vars' | 'secure-code' | 'secure-vars',
): string => join(labFolder, partOf(`edk2-${version}`, arch), `${file}.fd`);

/** Firmware in the flash of a machine, whose variables are not kept. */
export const firmwareDrives = (version: FirmwareVersion, arch: GuestArch): string[] => [
  ...['-drive', `if=pflash,format=raw,unit=0,readonly=on,file=${firmwareFile(version, arch, 'code')}`],
  ...['-drive', `if=pflash,format=raw,unit=1,snapshot=on,file=${firmwareFile(version, arch, 'vars')}`],
];

/** U-Boot for the `virt` board. */
export const ubootFile = (arch: 'aarch64' | 'riscv64'): string => join(labFolder, partOf('u-boot', arch), 'u-boot.bin');

/** Xen for Arm, as QEMU's -kernel takes it. */
export const xenImage = (version: '4.20'): string => join(labFolder, `xen-${version}`, 'xen');

/** A UEFI boot manager: systemd-boot. */
export const bootLoader = (arch: GuestArch): string => join(labFolder, partOf('boot-loader', arch), 'boot.efi');

/** Why parts of the lab cannot be used, and what to do; undefined when they are all there. */
export function lacking(parts: readonly Part[]): string | undefined {
  const missing = parts.filter((part) => !existsSync(join(labFolder, part, 'recipe')));
  return missing.length === 0 ? undefined : `no ${missing.join(', ')}: run scripts/lab/setup ${missing.join(' ')}`;
}

/**
 * Kernel arguments that change nothing a test looks at and make a guest boot in a third of the time: pointer
 * authentication is slow to emulate with `-cpu max` before QEMU 10.0, and the crypto self-tests take half a second.
 */
export const fastKernelArguments: Readonly<Record<GuestArch, string>> = {
  aarch64: 'console=ttyAMA0 quiet arm64.nopauth cryptomgr.notests=1',
  riscv64: 'console=ttyS0 quiet cryptomgr.notests=1',
  x86_64: 'console=ttyS0 quiet cryptomgr.notests=1',
};

/** Board and CPU: the best that each emulates, but riscv64's own default, which boots faster than `max`. */
export const boardOf = (arch: GuestArch): { readonly machine: string; readonly cpu: readonly string[] } =>
  ({
    aarch64: { machine: 'virt,gic-version=3', cpu: ['-cpu', 'max'] },
    riscv64: { machine: 'virt', cpu: [] },
    x86_64: { machine: 'q35', cpu: ['-cpu', 'max'] },
  })[arch];
