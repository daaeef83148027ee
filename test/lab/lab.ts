import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

export type QemuVersion = '7.2' | '10.0';
export type KernelVersion = '6.12' | '6.1';
/** What `scripts/lab/setup` can put into the lab. */
export type Part = `qemu-${QemuVersion}` | `linux-${KernelVersion}` | 'guest';

/** Where `scripts/lab/setup` puts things. */
export const labFolder = resolve(process.env['PINBAR_LAB'] ?? join(import.meta.dirname, '../../.cache/lab'));

/** Debian's own qemu-system-aarch64, whatever the host has. Nothing but `exec` stands before the real program. */
export const qemuBinary = (version: QemuVersion): string => join(labFolder, `qemu-${version}/bin/qemu-system-aarch64`);

/** Debian's own arm64 kernel, as QEMU's -kernel takes it. */
export const kernelImage = (version: KernelVersion = '6.12'): string => join(labFolder, `linux-${version}/vmlinuz`);

/** Why parts of the lab cannot be used, and what to do; undefined when they are all there. */
export function lacking(parts: readonly Part[]): string | undefined {
  const missing = parts.filter((part) => !existsSync(join(labFolder, part, 'recipe')));
  return missing.length === 0 ? undefined : `no ${missing.join(', ')}: run scripts/lab/setup ${missing.join(' ')}`;
}

/**
 * Kernel arguments that change nothing a test looks at and make a guest boot in a third of the time: pointer
 * authentication is slow to emulate with `-cpu max` before QEMU 10.0, and the crypto self-tests take half a second.
 */
export const fastKernelArguments = 'console=ttyAMA0 quiet arm64.nopauth cryptomgr.notests=1';
