import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { readConsole } from './console.js';
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

/** The built command line: the checkout's, or an installed one that the environment names. */
export const pinbarProgram = process.env['PINBAR_PROGRAM'] ?? join(import.meta.dirname, '../../bin/pinbar.js');

export interface PinbarOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** After this long it is killed and all that waits for it fails. */
  readonly seconds?: number;
}

/** A pinbar that runs: the guest's console and what pinbar says, as they come, and what is typed. */
export class RunningPinbar {
  output = '';
  errors = '';
  /** How it ended; rejects where it had to be killed. */
  readonly ended: Promise<Ran>;
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  #over = false;

  constructor(args: readonly string[], { cwd, env = {}, seconds = 90 }: PinbarOptions = {}) {
    // A process group of its own, so that killing it at a test's end reaches QEMU whatever has become of pinbar.
    const child = spawn(process.execPath, [pinbarProgram, ...args], {
      cwd,
      env: { ...process.env, ...env },
      detached: true,
    });
    this.#child = child;
    const wake = () => {
      for (const check of this.#waiting) check();
    };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
      wake();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text;
      wake();
    });
    child.stdin.on('error', () => undefined);
    this.ended = new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#killAll();
        reject(new Error(`pinbar ${args.join(' ')} did not end within ${seconds} s.\n${this.#said()}`));
      }, seconds * 1000);
      child.on('error', reject);
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        this.#over = true;
        resolve({
          output: this.output,
          errors: this.errors,
          end: code ?? signal ?? 0,
          boots: readConsole(this.output),
        });
        wake();
      });
    });
    this.ended.catch(wake);
    onTestFinished(() => this.#killAll());
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Waits until the guest's console, or what pinbar and QEMU say, matches. */
  async shows(pattern: RegExp, where: 'output' | 'errors' = 'output'): Promise<void> {
    if (pattern.test(this[where])) return;
    await new Promise<void>((resolve, reject) => {
      const check = () => {
        const found = pattern.test(this[where]);
        if (!found && !this.#over) return;
        this.#waiting.delete(check);
        if (found) resolve();
        else reject(new Error(`pinbar ended before ${where} showed ${String(pattern)}\n${this.#said()}`));
      };
      this.#waiting.add(check);
      this.ended.catch(reject);
    });
  }

  /** Types on standard input. */
  type(text: string): void {
    this.#child.stdin!.write(text);
  }

  /** Sends pinbar itself, and nothing that it started, a signal. */
  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** As when a pipe's reader goes away. */
  closeOutput(): void {
    this.#child.stdout!.destroy();
  }

  /** Takes standard error in small pieces with pauses, so that its pipe stays full. */
  readErrorsSlowly(): void {
    const stream = this.#child.stderr!;
    stream.on('data', () => {
      stream.pause();
      setTimeout(() => stream.resume(), 100);
    });
  }

  #said(): string {
    return `It printed:\n${this.output}\nand said:\n${this.errors}`;
  }

  #killAll(): void {
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // Nobody of the group is left.
    }
  }
}

/** Runs pinbar until it ends. Its standard input is empty but open. */
export const pinbar = (args: readonly string[], options?: PinbarOptions): Promise<Ran> =>
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
