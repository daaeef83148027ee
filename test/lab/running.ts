import { spawn, type ChildProcess } from 'node:child_process';
import { onTestFinished } from 'vitest';
import { readConsole } from './console.js';
import type { Ran } from './run.js';

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** After this long it is killed and all that waits for it fails. */
  readonly seconds?: number;
}

/** A program that runs, pinbar or QEMU: the guest's console and what it says, as they come, and what is typed. */
export class RunningProgram {
  output = '';
  errors = '';
  /** How it ended; rejects where it had to be killed. */
  readonly ended: Promise<Ran>;
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  #over = false;

  constructor([program = '', ...args]: readonly string[], { cwd, env = {}, seconds = 90 }: ProgramOptions = {}) {
    // A process group of its own, so that killing it at a test's end reaches QEMU whatever has become of what started it.
    const child = spawn(program, args, {
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
        reject(new Error(`${program} ${args.join(' ')} did not end within ${seconds} s.\n${this.#said()}`));
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
        else reject(new Error(`it ended before ${where} showed ${String(pattern)}\n${this.#said()}`));
      };
      this.#waiting.add(check);
      this.ended.catch(reject);
    });
  }

  /** Types on standard input. */
  type(text: string): void {
    this.#child.stdin!.write(text);
  }

  /** Sends the program itself, and nothing that it started, a signal. */
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
