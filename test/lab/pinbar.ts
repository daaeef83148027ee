import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  boardOf,
  fastKernelArguments,
  kernelImage,
  qemuBinary,
  type GuestArch,
  type NewQemuVersion,
  type QemuVersion,
} from './lab.js';
import type { Ran } from './run.js';
import { RunningProgram, type ProgramOptions } from './running.js';

/** The built command line: the checkout's, or an installed one that the environment names. */
export const pinbarProgram = process.env['PINBAR_PROGRAM'] ?? join(import.meta.dirname, '../../bin/pinbar.js');

/** A pinbar that runs. */
export class RunningPinbar extends RunningProgram {
  constructor(args: readonly string[], options?: ProgramOptions) {
    super([process.execPath, pinbarProgram, ...args], options);
  }
}

/** What pinbar said, without the stages that it names because the machine that the test runs on is slow. */
export const withoutStages = (errors: string): string => errors.replaceAll(/^pinbar: [^:]* …\n/gm, '');

/** Runs pinbar until it ends. Its standard input is empty but open. */
export const pinbar = (args: readonly string[], options?: ProgramOptions): Promise<Ran> =>
  new RunningPinbar(args, options).ended;

export interface GuestOptions {
  readonly arch?: GuestArch;
  readonly machine?: string;
  readonly memory?: string;
  readonly initrd?: string;
  /** The words for the console; `-nographic` alone puts a monitor beside it. */
  readonly console?: readonly string[];
  readonly devices?: readonly string[];
  readonly kernelArguments?: string;
}

/** A QEMU command with a board of PCI Express and a real kernel, and nothing on it that is not asked for. */
export const guestCommand = (
  version: QemuVersion | NewQemuVersion,
  {
    arch = 'aarch64',
    machine = '',
    memory = '512M',
    initrd,
    console = ['-nographic', '-nodefaults', '-serial', 'stdio'],
    devices = [],
    kernelArguments = '',
  }: GuestOptions = {},
): string[] => [
  qemuBinary(version, arch),
  ...['-machine', `${boardOf(arch).machine}${machine}`, ...boardOf(arch).cpu, '-m', memory],
  ...console,
  ...devices,
  ...['-kernel', kernelImage('6.12', arch)],
  ...(initrd === undefined ? [] : ['-initrd', initrd]),
  ...['-append', `${fastKernelArguments[arch]}${kernelArguments && ` ${kernelArguments}`}`],
];

/** A folder below `parent` that is made here. */
export function subfolder(parent: string, name: string): string {
  const folder = join(parent, name);
  mkdirSync(folder);
  return folder;
}
