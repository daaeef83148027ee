import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cpio, type CpioEntry } from './cpio.js';
import { guestPrograms, kernelModules, type GuestArch, type KernelVersion } from './lab.js';

const guestFolder = join(import.meta.dirname, '../guest');

/** What a guest starts with. */
export interface Initrd {
  /** Shell commands, run once in every boot, with the functions of test/guest/guest.sh; the guest powers off after them. */
  readonly script: string;
  /** Whose modules to load: virtio, nvme and what they depend on. */
  readonly kernel?: KernelVersion;
  readonly arch?: GuestArch;
  /** Real `lspci` and its libraries: 8 MiB more. */
  readonly lspci?: boolean;
  /** False: no drivers beyond those that the kernel has built in. */
  readonly modules?: boolean;
  /** More files, by absolute path in the guest. */
  readonly files?: Readonly<Record<string, Uint8Array | string>>;
}

/** Writes a guest's initial RAM file system to `path`, for QEMU's -initrd. Needs the parts `guest` and `linux-*` of the lab. */
export function writeInitrd(
  path: string,
  { script, kernel = '6.12', arch = 'aarch64', lspci = false, modules = true, files = {} }: Initrd,
): void {
  const programs = guestPrograms(arch);
  const content = new Map<string, Uint8Array | string>([
    ['bin/busybox', readFileSync(join(programs, 'busybox/bin/busybox'))],
    ['init', readFileSync(join(guestFolder, 'init'))],
    ['lib/guest.sh', readFileSync(join(guestFolder, 'guest.sh'))],
    ['lib/lease', readFileSync(join(guestFolder, 'lease'))],
    ...(modules ? readFolder(kernelModules(kernel, arch), 'lib/modules') : [['lib/modules/order', ''] as const]),
    ...(lspci ? readFolder(join(programs, 'lspci'), '') : []),
    ['run-test', script],
    ...Object.entries(files).map(([name, bytes]) => [name.replace(/^\/+/, ''), bytes] as const),
  ]);
  writeFileSync(
    path,
    cpio([...skeleton([...content.keys()]), ...[...content].map(([name, bytes]) => file(name, bytes))]),
  );
}

/** Mount points, the console that Linux opens before /dev is mounted, and every folder that a file lies in. */
function skeleton(paths: readonly string[]): CpioEntry[] {
  const folders = new Set(['proc', 'sys', 'dev', 'tmp']);
  for (const path of paths) {
    for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) folders.add(folder);
  }
  return [
    ...[...folders].sort().map((path): CpioEntry => ({ path, kind: 'folder' })),
    { path: 'dev/console', kind: 'character-device', major: 5, minor: 1 },
  ];
}

const file = (path: string, bytes: Uint8Array | string): CpioEntry => ({
  path,
  kind: 'file',
  content: Buffer.from(bytes),
  executable: true,
});

function readFolder(folder: string, into: string): [string, Uint8Array][] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => [join(into, path.slice(folder.length + 1)), readFileSync(path)]);
}
