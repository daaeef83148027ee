import type { Duplex } from 'node:stream';
import { parse as parseExact } from 'lossless-json';
import { Exit, Problem } from '../problem/problem.js';

/** A QMP event, https://www.qemu.org/docs/master/interop/qmp-spec.html §2.5. */
export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface QemuVersion {
  readonly major: number;
  readonly minor: number;
  readonly micro: number;
  /** As QEMU prints it, such as `7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)`. */
  readonly text: string;
}

/** A line longer than this is no answer of QEMU's. */
const MAX_LINE = 64 * 1024 * 1024;

/** Cuts a byte stream into lines; a line is decoded whole, so that no character is torn. */
export class LineDecoder {
  #parts: Buffer[] = [];
  #pending = 0;

  constructor(private readonly onLine: (line: string) => void) {}

  push(chunk: Buffer): void {
    let from = 0;
    for (let at = chunk.indexOf(10, from); at >= 0; at = chunk.indexOf(10, from)) {
      this.#parts.push(chunk.subarray(from, at));
      const line = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
      this.#parts = [];
      this.#pending = 0;
      from = at + 1;
      this.onLine((line ?? Buffer.alloc(0)).toString('utf8').replace(/\r$/, ''));
    }
    if (from < chunk.length) {
      this.#parts.push(chunk.subarray(from));
      this.#pending += chunk.length - from;
      if (this.#pending > MAX_LINE)
        throw new Problem('line-too-long', `a line of more than ${MAX_LINE} bytes`, { exit: Exit.outside });
    }
  }
}

/**
 * JSON as QEMU writes it, exact: integers that a double cannot hold become bigint.
 * @throws SyntaxError
 */
export function parseQmpJson(line: string): unknown {
  // The exact parser is slower and rarely needed: only 16 digits or more can be out of a double's reach.
  if (!/\d{16}/.test(line)) return JSON.parse(line);
  return parseExact(line, null, (digits) => {
    const value = Number(digits);
    return Number.isInteger(value) && !Number.isSafeInteger(value) ? BigInt(digits) : value;
  });
}

interface Waiting {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** A QMP connection. Commands may be issued without waiting; answers are matched by id. */
export class Qmp {
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  readonly #greeting: Promise<QemuVersion>;
  readonly closed: Promise<void>;
  #greeted: ((version: QemuVersion) => void) | undefined;
  #fail: (problem: Problem) => void = () => undefined;
  #lost: Problem | undefined;
  #nextId = 1;
  #timer: NodeJS.Timeout | undefined;
  #lose: (why: string) => void = () => undefined;

  /** @param patience milliseconds without a byte after which an answer that is owed counts as lost; undefined: it may take for ever */
  constructor(
    private readonly stream: Duplex,
    private readonly patience?: number,
  ) {
    this.#greeting = new Promise((resolve, reject) => {
      this.#greeted = resolve;
      this.#fail = reject;
    });
    this.#greeting.catch(() => undefined);
    const decoder = new LineDecoder((line) => this.#line(line));
    stream.on('data', (chunk: Buffer) => {
      try {
        decoder.push(chunk);
      } catch (error) {
        stream.destroy(error instanceof Error ? error : undefined);
      }
      this.#wait();
    });
    this.closed = new Promise((resolve) => {
      const lose = (why: string) => {
        clearTimeout(this.#timer);
        this.#lost ??= new Problem('qmp-lost', `the QMP connection to QEMU was lost (${why})`, { exit: Exit.outside });
        this.#fail(this.#lost);
        for (const { reject } of this.#waiting.values()) reject(this.#lost);
        this.#waiting.clear();
        resolve();
      };
      this.#lose = lose;
      stream.on('error', (error) => lose(error.message));
      stream.on('end', () => lose('QEMU closed it'));
      stream.on('close', () => lose('it was closed'));
    });
  }

  /** Waits for the greeting and leaves capabilities negotiation mode. Throws Problem `qmp-lost`. */
  async negotiate(): Promise<QemuVersion> {
    const version = await this.#greeting;
    await this.execute('qmp_capabilities');
    return version;
  }

  /** Calls `listener` with every event from now on, in order; the result ends that. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves with the first event that `wanted` accepts; rejects when the connection ends before. */
  waitFor(wanted: (event: QmpEvent) => boolean): Promise<QmpEvent> {
    return new Promise((resolve, reject) => {
      const stop = this.onEvent((event) => {
        if (!wanted(event)) return;
        stop();
        resolve(event);
      });
      void this.closed.then(() => {
        stop();
        reject(this.#lost ?? new Problem('qmp-lost', 'the QMP connection to QEMU was lost', { exit: Exit.outside }));
      });
    });
  }

  /**
   * Carries out a command and resolves with its `return`.
   * @throws Problem `qmp-error` (QEMU's own words, its class in facts) or `qmp-lost`, exit 3
   */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#lost) return Promise.reject(this.#lost);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { command, resolve, reject });
      this.stream.write(`${JSON.stringify({ execute: command, ...(args ? { arguments: args } : {}), id })}\n`);
      this.#wait();
    });
  }

  /** Runs a command of QEMU's human monitor and resolves with what it prints. */
  async monitor(commandLine: string): Promise<string> {
    const text = await this.execute('human-monitor-command', { 'command-line': commandLine });
    return typeof text === 'string' ? text : '';
  }

  close(): void {
    this.stream.destroy();
  }

  /** From now on, an answer that is owed may take its time. */
  #wait(): void {
    const { patience } = this;
    if (patience === undefined) return;
    clearTimeout(this.#timer);
    if (this.#waiting.size === 0 || this.#lost) return;
    this.#timer = setTimeout(() => {
      this.#lose(`no answer for ${patience / 1000} seconds`);
      this.stream.destroy();
    }, patience);
  }

  #line(line: string): void {
    if (line.trim() === '') return;
    let message: Record<string, unknown>;
    try {
      message = parseQmpJson(line) as Record<string, unknown>;
    } catch {
      throw new Problem('qmp-syntax', `QEMU's monitor sent what is no JSON: ${line.slice(0, 80)}`, {
        exit: Exit.outside,
      });
    }
    if (message['QMP']) {
      this.#greeted?.(versionOf(message['QMP']));
    } else if (typeof message['event'] === 'string') {
      const event = { event: message['event'], data: (message['data'] ?? {}) as Record<string, unknown> };
      for (const listener of [...this.#listeners]) listener(event);
    } else {
      const waiting = this.#waiting.get(Number(message['id']));
      if (!waiting) return;
      this.#waiting.delete(Number(message['id']));
      const error = message['error'] as { class?: string; desc?: string } | undefined;
      if (error) {
        waiting.reject(
          new Problem('qmp-error', `QEMU refused ${waiting.command}: ${error.desc ?? 'no reason given'}`, {
            exit: Exit.outside,
            facts: { command: waiting.command, class: error.class, desc: error.desc },
          }),
        );
      } else waiting.resolve(message['return']);
    }
  }
}

function versionOf(greeting: unknown): QemuVersion {
  const version = (greeting as { version?: { qemu?: Partial<QemuVersion>; package?: string } }).version;
  const { major = 0, minor = 0, micro = 0 } = version?.qemu ?? {};
  const suffix = version?.package ? ` (${version.package.replace(/^\(|\)$/g, '')})` : '';
  return { major, minor, micro, text: `${major}.${minor}.${micro}${suffix}` };
}

/** True where `version` is `major`.`minor` or later. */
export const atLeast = (version: QemuVersion, major: number, minor = 0): boolean =>
  version.major > major || (version.major === major && version.minor >= minor);
