import type { Duplex } from 'node:stream';
import { hex } from '../address/format.js';
import type { CpuAddress } from '../address/kinds.js';
import { Exit, Problem } from '../problem/problem.js';
import type { MemoryOp, PhysicalMemory } from './physical-memory.js';
import { LineDecoder } from './qmp.js';

const letter = { 1: 'b', 2: 'w', 4: 'l' } as const;
/** Commands that are written at once: enough to fill the pipe, small enough for its buffers. */
const CHUNK = 512;

/** Dwords that are read as one block from here on. Below it a command each is as fast. */
const BLOCK = 4;

interface Request {
  readonly command: string;
  readonly op: MemoryOp;
  /** Dwords from `op.address` on; 1 for anything but a block. */
  readonly count: number;
}

/**
 * One command an op, but for dwords that follow each other: those are one block, which QEMU reads dword by dword all the
 * same (b64read goes through the memory dispatch, and config space takes 4 bytes at most), at a thirtieth of the cost.
 */
function* requestsOf(ops: readonly MemoryOp[]): Generator<Request> {
  for (let i = 0; i < ops.length;) {
    const op = ops[i] as MemoryOp;
    let count = 1;
    const follows = (next: MemoryOp | undefined) =>
      op.kind === 'read' &&
      next?.kind === 'read' &&
      next.width === 4 &&
      next.address === op.address + BigInt(4 * count);
    if (op.kind === 'read' && op.width === 4) while (follows(ops[i + count])) count++;
    if (count < BLOCK) count = 1;
    const verb = `${op.kind}${letter[op.width]} ${hex(op.address)}`;
    const single = op.kind === 'read' ? verb : `${verb} ${hex(op.value >>> 0)}`;
    yield { op, count, command: count === 1 ? single : `b64read ${hex(op.address)} ${hex(4 * count)}` };
    i += count;
  }
}

/** Commands that were sent together, and what has come back so far: one promise for all, not thousands. */
interface Exchange {
  readonly commands: readonly string[];
  readonly answers: string[];
  /** The first answer that was no OK. */
  refusal: Problem | undefined;
  readonly resolve: (answers: readonly string[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A qtest connection, QEMU's system/qtest.c: a line in, a line out, strictly in order, so that commands can be
 * pipelined. It reads and writes guest physical memory while the machine is stopped, beside any accelerator.
 */
export class Qtest implements PhysicalMemory {
  readonly source = 'qtest';
  /** In the order in which they were sent; the first has an answer outstanding. */
  #exchanges: Exchange[] = [];
  #lost: Problem | undefined;

  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;

  constructor(private readonly stream: Duplex) {
    this.closed = new Promise((resolve) => stream.once('close', () => resolve()));
    const decoder = new LineDecoder((line) => this.#line(line));
    stream.on('data', (chunk: Buffer) => {
      try {
        decoder.push(chunk);
      } catch (error) {
        this.#lose(error instanceof Error ? error.message : String(error));
      }
    });
    stream.on('error', (error) => this.#lose(error.message));
    stream.on('end', () => this.#lose('QEMU closed it'));
    stream.on('close', () => this.#lose('it was closed'));
  }

  async batch(ops: readonly MemoryOp[]): Promise<number[]> {
    const requests = [...requestsOf(ops)];
    const lines = await this.#send(requests.map(({ command }) => command));
    const values: number[] = [];
    requests.forEach(({ op, count }, i) => {
      const line = lines[i] ?? '';
      if (op.kind === 'write') values.push(0);
      else if (count === 1) {
        // 64 bits, sign-extended by some versions: the low `width` bytes count.
        const digits = /^0x([0-9a-f]{1,16})$/.exec(line)?.[1];
        if (!digits) throw this.#stray(line);
        values.push(parseInt(digits.slice(-2 * op.width), 16));
      } else {
        const bytes = Buffer.from(line, 'base64');
        if (bytes.length !== 4 * count) throw this.#stray(line);
        for (let at = 0; at < bytes.length; at += 4) values.push(bytes.readUInt32LE(at));
      }
    });
    return values;
  }

  async readBytes(address: CpuAddress, size: number): Promise<Uint8Array> {
    if (size === 0) return new Uint8Array(0);
    const [line] = await this.#send([`b64read ${hex(address)} ${hex(size)}`]);
    const bytes = Buffer.from(line ?? '', 'base64');
    if (bytes.length !== size) throw this.#stray(line ?? '');
    return bytes;
  }

  async writeBytes(address: CpuAddress, bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
    await this.#send([`b64write ${hex(address)} ${hex(bytes.length)} ${data}`]);
  }

  close(): void {
    this.stream.destroy();
  }

  #send(commands: readonly string[]): Promise<readonly string[]> {
    if (this.#lost) return Promise.reject(this.#lost);
    if (commands.length === 0) return Promise.resolve([]);
    const all = new Promise<readonly string[]>((resolve, reject) => {
      this.#exchanges.push({ commands, answers: [], refusal: undefined, resolve, reject });
    });
    for (let from = 0; from < commands.length; from += CHUNK) {
      this.stream.write(`${commands.slice(from, from + CHUNK).join('\n')}\n`);
    }
    return all;
  }

  #line(line: string): void {
    // Only with an interrupt intercepted, which pinbar never asks for; it belongs to no command.
    if (line.startsWith('IRQ ')) return;
    const [exchange] = this.#exchanges;
    if (!exchange) {
      // After one stray line every later caller would get a stranger's answer: the connection is of no use any more.
      this.#lose(`an answer that belongs to no command: ${line.slice(0, 60)}`);
      this.stream.destroy();
      return;
    }
    const { commands, answers, resolve, reject } = exchange;
    if (line !== 'OK' && !line.startsWith('OK ')) exchange.refusal ??= refused(commands[answers.length] ?? '', line);
    answers.push(line.slice(3));
    if (answers.length < commands.length) return;
    this.#exchanges.shift();
    if (exchange.refusal) reject(exchange.refusal);
    else resolve(answers);
  }

  #stray(line: string): Problem {
    return new Problem('qtest-answer', `QEMU's qtest server gave an answer that does not fit: ${line.slice(0, 80)}`, {
      exit: Exit.outside,
    });
  }

  #lose(why: string): void {
    this.#lost ??= new Problem('qtest-lost', `the qtest connection to QEMU was lost (${why})`, { exit: Exit.outside });
    const exchanges = this.#exchanges;
    this.#exchanges = [];
    for (const { reject } of exchanges) reject(this.#lost);
  }
}

const refused = (command: string, line: string): Problem =>
  new Problem('qtest-error', `QEMU refused the qtest command ${command.slice(0, 80)}: ${line.slice(0, 200)}`, {
    exit: Exit.outside,
  });
