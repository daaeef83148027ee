import type { Duplex } from 'node:stream';
import { hex } from '../address/format.js';
import type { CpuAddress } from '../address/kinds.js';
import { Exit, Problem } from '../problem/problem.js';
import type { IoPorts, PortOp } from './io-ports.js';
import type { MemoryOp } from '../pci/ecam.js';
import { accessesOf, type Access, type Transport } from './physical-memory.js';
import { Pipeline } from './pipeline.js';
import { LineDecoder } from './qmp.js';

const letter = { 1: 'b', 2: 'w', 4: 'l' } as const;

/**
 * A qtest connection, QEMU's system/qtest.c: a line in, a line out, strictly in order, so that commands can be
 * pipelined. It reads and writes guest physical memory while the machine is stopped, beside any accelerator.
 */
export class Qtest implements Transport {
  readonly source = 'qtest';
  readonly closed: Promise<void>;
  readonly ports: IoPorts = {
    batch: async (ops) => {
      const lines = await this.#pipeline.send(ops.map(portCommandOf));
      return ops.map(({ kind, width }, i) => (kind === 'out' ? 0 : this.#number(lines[i] ?? '', width)));
    },
  };
  readonly #pipeline: Pipeline;

  /** @param patience milliseconds without a byte after which an answer that is owed counts as lost */
  constructor(stream: Duplex, patience?: number) {
    this.#pipeline = new Pipeline(stream, {
      name: 'qtest',
      encode: (commands) => `${commands.join('\n')}\n`,
      decoder: (answer) =>
        new LineDecoder((line) => {
          // Only with an interrupt intercepted, which pinbar never asks for; it belongs to no command.
          if (!line.startsWith('IRQ ')) answer(line);
        }),
      refusal: (command, line) => (line === 'OK' || line.startsWith('OK ') ? undefined : refused(command, line)),
      patience,
    });
    this.closed = this.#pipeline.closed;
  }

  async negotiate(): Promise<void> {
    const ask = () => this.#pipeline.send(['endianness']);
    const [line = ''] = await ask().catch((error: unknown) => {
      // QEMU keeps half a line that somebody before has left, and takes this one for its end.
      if (error instanceof Problem && error.code === 'qtest-error') return ask();
      throw error;
    });
    if (line !== 'OK little') throw this.#pipeline.stray(line);
  }

  handOver(): Promise<void> {
    return Promise.resolve();
  }

  async batch(ops: readonly MemoryOp[]): Promise<number[]> {
    const accesses = [...accessesOf(ops)];
    const lines = await this.#pipeline.send(accesses.map(commandOf));
    const values: number[] = [];
    accesses.forEach(({ op, count }, i) => {
      const line = lines[i] ?? '';
      if (op.kind === 'write') values.push(0);
      else if (count === 1) values.push(this.#number(line, op.width));
      else {
        const bytes = this.#bytes(line, 4 * count);
        for (let at = 0; at < bytes.length; at += 4) values.push(bytes.readUInt32LE(at));
      }
    });
    return values;
  }

  async readBytes(address: CpuAddress, size: number): Promise<Uint8Array> {
    if (size === 0) return new Uint8Array(0);
    const [line = ''] = await this.#pipeline.send([`b64read ${hex(address)} ${hex(size)}`]);
    return this.#bytes(line, size);
  }

  async writeBytes(address: CpuAddress, bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
    await this.#pipeline.send([`b64write ${hex(address)} ${hex(bytes.length)} ${data}`]);
  }

  close(): void {
    this.#pipeline.close();
  }

  /** 64 bits, sign-extended by some versions: the low `width` bytes count. */
  #number(line: string, width: number): number {
    const digits = /^OK 0x([0-9a-f]{1,16})$/.exec(line)?.[1];
    if (!digits) throw this.#pipeline.stray(line);
    return parseInt(digits.slice(-2 * width), 16);
  }

  #bytes(line: string, size: number): Buffer {
    const bytes = Buffer.from(line.slice(3), 'base64');
    if (bytes.length !== size) throw this.#pipeline.stray(line);
    return bytes;
  }
}

function commandOf({ op, count }: Access): string {
  if (count > 1) return `b64read ${hex(op.address)} ${hex(4 * count)}`;
  const verb = `${op.kind}${letter[op.width]} ${hex(op.address)}`;
  return op.kind === 'read' ? verb : `${verb} ${hex(op.value >>> 0)}`;
}

const portCommandOf = (op: PortOp): string => {
  const verb = `${op.kind}${letter[op.width]} ${hex(op.port)}`;
  return op.kind === 'in' ? verb : `${verb} ${hex(op.value)}`;
};

const refused = (command: string, line: string): Problem =>
  new Problem('qtest-error', `QEMU refused the qtest command ${command.slice(0, 80)}: ${line.slice(0, 200)}`, {
    exit: Exit.outside,
  });
