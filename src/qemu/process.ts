import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import { Exit, Problem } from '../problem/problem.js';

/** File descriptors that QEMU inherits: connected sockets without a name, so that nothing is left on any file system. */
export const QMP_FD = 3;
export const TRANSPORT_FD = 4;

const FIRST_FILE_FD = 5;

/** How QEMU opens the nth of the files that it inherits, from 0. */
export const inheritedFile = (n: number): string => `/proc/self/fd/${FIRST_FILE_FD + n}`;

/** How QEMU ended. */
export interface QemuEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What is kept of QEMU's standard error, for messages. */
const STDERR_KEPT = 64 * 1024;
/** How long after its end QEMU's standard error is waited for. */
const DRAIN_MS = 200;

/**
 * The shell waits for a line before it becomes QEMU. Together with the parent-death signal, which setpriv sets before,
 * this leaves no moment at which pinbar can die and QEMU live on: if it died before the signal was set, the line never
 * comes.
 */
const GATE = 'read -r _ <&3 && exec "$@"';

/** The path of a program as the shell would find it, or undefined. */
export function findProgram(name: string, path = process.env['PATH'] ?? ''): string | undefined {
  const candidates = name.includes('/') ? [name] : path.split(delimiter).map((folder) => join(folder || '.', name));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A QEMU that pinbar started. Standard input and output are the caller's own; standard error passes through `onStderr`. */
export class QemuProcess {
  readonly qmp: Duplex;
  /** The connection that carries accesses to the machine's memory. */
  readonly transport: Duplex;
  readonly ended: Promise<QemuEnd>;
  #end: QemuEnd | undefined;
  #stderr = '';
  readonly #child: ChildProcess;

  /**
   * Starts `argv` (program first).
   * @param files what {@link inheritedFile} opens; they have no name anywhere
   * @throws Problem `qemu-missing`, exit 3, where the program cannot be found
   */
  constructor(
    argv: readonly string[],
    options: { readonly onStderr: (chunk: Buffer) => void; readonly onNotice: (text: string) => void },
    files: readonly Uint8Array[] = [],
  ) {
    const [name = ''] = argv;
    const program = findProgram(name);
    if (!program) {
      throw new Problem(
        'qemu-missing',
        `${name} is not ${name.includes('/') ? 'a program that can be run' : 'on the PATH'}`,
        {
          exit: Exit.outside,
          hint: `install it (Debian: apt-get install ${packageOf(name)}), or give its path; pinbar run --sim FILE needs no QEMU`,
          facts: { program: name },
        },
      );
    }
    const setpriv = findProgram('setpriv');
    if (!setpriv) {
      options.onNotice('setpriv (util-linux) is not here: if pinbar is killed with SIGKILL, QEMU goes on without it');
    }
    const gated = ['/bin/sh', '-c', GATE, 'sh', program, ...argv.slice(1)];
    const [command = '', ...args] = setpriv ? [setpriv, '--pdeathsig', 'TERM', ...gated] : gated;
    const descriptors = files.map(namelessFile);
    try {
      this.#child = spawn(command, args, { stdio: ['inherit', 'inherit', 'pipe', 'pipe', 'pipe', ...descriptors] });
    } finally {
      for (const descriptor of descriptors) closeSync(descriptor);
    }
    const [, , stderr, qmp, transport] = this.#child.stdio;
    this.qmp = qmp as Duplex;
    this.transport = transport as Duplex;
    (stderr as Readable).on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('utf8')).slice(-STDERR_KEPT);
      options.onStderr(chunk);
    });
    // Errors of the sockets themselves reach those who use them; here they only must not end the process.
    this.qmp.on('error', () => undefined);
    this.transport.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      const end = (result: QemuEnd) => {
        this.#end ??= result;
        resolve(this.#end);
      };
      this.#child.on('error', () => end({ code: 127, signal: null }));
      this.#child.on('exit', (code, signal) => {
        // What it said last is on its way still; a helper of QEMU's that holds the pipe open must not hold pinbar.
        const done = () => {
          clearTimeout(timer);
          end({ code, signal });
        };
        const timer = setTimeout(done, DRAIN_MS);
        if ((stderr as Readable).readableEnded) done();
        else (stderr as Readable).once('end', done);
      });
    });
    this.qmp.write('\n');
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** How it ended, once it has. */
  get end(): QemuEnd | undefined {
    return this.#end;
  }

  /** The last of what it wrote to standard error. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Sends a signal, if it still runs. */
  signal(signal: NodeJS.Signals): void {
    if (!this.#end) this.#child.kill(signal);
  }

  /** Ends it, at once: for a machine that has not run yet, or one that no longer answers. */
  async kill(): Promise<QemuEnd> {
    this.signal('SIGKILL');
    return this.ended;
  }
}

/** Linux, include/uapi/asm-generic/fcntl.h: a file in a folder, without a name. The value is that of x86, arm64 and riscv64. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** A descriptor of a file with this content that is in no folder: it is gone when the last who has it open is. */
function namelessFile(content: Uint8Array): number {
  const descriptor = openNameless();
  try {
    writeSync(descriptor, content);
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

function openNameless(): number {
  try {
    return openSync(tmpdir(), O_TMPFILE | constants.O_RDWR, 0o600);
  } catch {
    // A file system that knows no nameless files.
    const folder = mkdtempSync(join(tmpdir(), 'pinbar-'));
    try {
      return openSync(join(folder, 'file'), 'wx+', 0o600);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

/** Debian's package for a system emulator. */
function packageOf(name: string): string {
  const arch = /qemu-system-(\w+)$/.exec(name)?.[1] ?? '';
  if (['aarch64', 'arm'].includes(arch)) return 'qemu-system-arm';
  if (['x86_64', 'i386'].includes(arch)) return 'qemu-system-x86';
  return 'qemu-system-misc';
}
