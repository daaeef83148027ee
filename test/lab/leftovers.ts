import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { subfolder } from './pinbar.js';
import { scratchFolder } from './suite.js';

/**
 * A place of its own for one run: an empty working directory, an empty folder for temporary files, and a mark that every
 * process of the run bears in its arguments. What is in any of them afterwards was left behind.
 */
export class Traces {
  readonly mark = `pinbar-test-${randomBytes(8).toString('hex')}`;
  readonly #cwd: string;
  readonly #temporary: string;

  constructor() {
    const folder = scratchFolder();
    this.#cwd = subfolder(folder, 'cwd');
    this.#temporary = subfolder(folder, 'tmp');
  }

  /** QEMU's `-name`: setpriv, the shell, wrappers and QEMU all have it in their argument lists. */
  get name(): string[] {
    return ['-name', `guest=${this.mark}`];
  }

  get options(): { readonly cwd: string; readonly env: Readonly<Record<string, string>> } {
    return {
      cwd: this.#cwd,
      env: { TMPDIR: this.#temporary, XDG_RUNTIME_DIR: this.#temporary, XDG_CACHE_HOME: this.#temporary },
    };
  }

  /** The processes of the run that are alive now, with their arguments. */
  processes(): { readonly pid: number; readonly words: readonly string[] }[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => ({ pid: Number(name), words: readOr(`/proc/${name}/cmdline`).split('\0') }))
      .filter(({ words }) => words.some((word) => word.includes(this.mark)));
  }

  /** The process that is QEMU itself, nothing before or around it. */
  qemu(): number | undefined {
    return this.processes().find(({ pid }) => readOr(`/proc/${pid}/comm`).startsWith('qemu-system-aar'))?.pid;
  }

  /** Fails where a process, a socket with a name, or a file outlives the run; QEMU gets some seconds to end. */
  async expectNothingLeft(): Promise<void> {
    for (let tries = 0; tries < 100 && this.processes().length > 0; tries++) await sleep(100);
    const sockets = readOr('/proc/net/unix')
      .split('\n')
      .filter((line) => [this.#cwd, this.#temporary, this.mark].some((part) => line.includes(part)));
    expect({
      processes: this.processes(),
      sockets,
      // A core dump, where the system makes them, is the kernel's.
      files: [...readdirSync(this.#cwd), ...readdirSync(this.#temporary)].filter(
        (name) => !/^core(?:\.\d+)?$/.test(name),
      ),
    }).toEqual({ processes: [], sockets: [], files: [] });
  }
}

/** A file of /proc, or nothing where its process has just ended. */
function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
