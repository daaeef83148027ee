import type { Duplex } from 'node:stream';
import type { CpuAddress } from '../address/kinds.js';
import { Exit, Problem } from '../problem/problem.js';
import { encodePacket, GdbDecoder } from './gdb-packet.js';
import type { MemoryOp } from '../pci/ecam.js';
import { accessesOf, type Access, type Transport } from './physical-memory.js';
import { Pipeline } from './pipeline.js';

/** Milliseconds without a byte after which a stub that owes an answer is given up. */
const PATIENCE = 30_000;
/** A stub that does not say how long a packet may be takes this much. */
const DEFAULT_PACKET = 400;
/** `$m`, an address, a comma, a length, `:`, `#` and a checksum. */
const FRAME = 48;

/**
 * QEMU's gdbstub (gdbstub/gdbstub.c) as a way to guest physical memory: `Qqemu.PhyMemMode:1` makes `m` and `M` mean that.
 * An aligned access of 1, 2 or 4 bytes is one access of that width in the machine, and a longer read one of 4 bytes after
 * another; QEMU 7.2 and 10.0 were traced doing so.
 *
 * A stub stops the machine when somebody connects, and again at every byte that it gets while the machine runs; `D` would
 * let it run. So nothing is sent but to a machine that is stopped, `D` never, and no `+` either: QEMU takes the next
 * packet's start for one, and sends answers without waiting for it.
 */
export class Gdbstub implements Transport {
  readonly source = 'gdbstub';
  readonly closed: Promise<void>;
  readonly #pipeline: Pipeline;
  /** Bytes of memory that one packet can carry. */
  #most = DEFAULT_PACKET;
  /** The mode is one for QEMU as a whole: a debugger that comes later would see physical memory too. */
  #physical = false;

  /** @param patience milliseconds without a byte after which an answer that is owed counts as lost */
  constructor(stream: Duplex, patience = PATIENCE) {
    this.#pipeline = new Pipeline(stream, {
      name: 'gdb',
      encode: (commands) => commands.map(encodePacket).join(''),
      decoder: (answer) =>
        new GdbDecoder((message) => {
          if (message.kind === 'nack') throw garbled();
          if (message.kind === 'packet' && !unasked(message.text)) answer(message.text);
        }),
      refusal: (command, answer) => (/^E[0-9a-f]{2}$/i.test(answer) ? refused(command, answer) : undefined),
      patience,
    });
    this.closed = this.#pipeline.closed;
  }

  /** @throws Problem `gdb-not-qemu`, `gdb-lost`, exit 3 */
  async negotiate(): Promise<void> {
    const [supported = '', mode = ''] = await this.#pipeline.send(['qSupported', 'qqemu.PhyMemMode']);
    if (!/^[01]$/.test(mode)) {
      throw new Problem(
        'gdb-not-qemu',
        'the gdb server that answers is not one of QEMU’s: it knows no access to physical memory (qqemu.PhyMemMode)',
        { exit: Exit.outside, facts: { supported } },
      );
    }
    const size = /(?:^|;)PacketSize=([0-9a-f]{1,8})(?:;|$)/i.exec(supported)?.[1];
    const packet = Math.min(size === undefined ? DEFAULT_PACKET : parseInt(size, 16), 0x4000);
    this.#most = Math.max(4, ((packet - FRAME) >> 1) & ~3);
  }

  async batch(ops: readonly MemoryOp[]): Promise<number[]> {
    const accesses = [...accessesOf(ops, this.#most / 4)];
    const answers = await this.#send(accesses.map(commandOf));
    const values: number[] = [];
    accesses.forEach(({ op, count }, i) => {
      const answer = answers[i] ?? '';
      if (op.kind === 'write') {
        this.#expectOk(answer);
        values.push(0);
        return;
      }
      const bytes = this.#bytes(answer, count * op.width);
      for (let at = 0; at < bytes.length; at += op.width) values.push(bytes.readUIntLE(at, op.width));
    });
    return values;
  }

  async readBytes(address: CpuAddress, size: number): Promise<Uint8Array> {
    const parts = [...this.#parts(size)];
    const answers = await this.#send(parts.map(({ from, length }) => `m${hex(address + BigInt(from))},${hex(length)}`));
    return Buffer.concat(parts.map(({ length }, i) => this.#bytes(answers[i] ?? '', length)));
  }

  async writeBytes(address: CpuAddress, bytes: Uint8Array): Promise<void> {
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const answers = await this.#send(
      [...this.#parts(data.length)].map(
        ({ from, length }) =>
          `M${hex(address + BigInt(from))},${hex(length)}:${data.toString('hex', from, from + length)}`,
      ),
    );
    for (const answer of answers) this.#expectOk(answer);
  }

  /** Whoever debugs the guest later is to see virtual memory, as ever. */
  async handOver(): Promise<void> {
    if (!this.#physical) return;
    this.#physical = false;
    const [answer = ''] = await this.#pipeline.send(['Qqemu.PhyMemMode:0']);
    this.#expectOk(answer);
  }

  close(): void {
    this.#pipeline.close();
  }

  async #send(commands: readonly string[]): Promise<readonly string[]> {
    if (commands.length === 0) return [];
    if (this.#physical) return this.#pipeline.send(commands);
    this.#physical = true;
    const [mode = '', ...answers] = await this.#pipeline.send(['Qqemu.PhyMemMode:1', ...commands]);
    this.#expectOk(mode);
    return answers;
  }

  #expectOk(answer: string): void {
    if (answer !== 'OK') throw this.#pipeline.stray(answer);
  }

  #bytes(answer: string, size: number): Buffer {
    if (answer.length !== 2 * size || !/^[0-9a-f]*$/i.test(answer)) throw this.#pipeline.stray(answer);
    return Buffer.from(answer, 'hex');
  }

  *#parts(size: number): Generator<{ readonly from: number; readonly length: number }> {
    for (let from = 0; from < size; from += this.#most) yield { from, length: Math.min(this.#most, size - from) };
  }
}

const hex = (value: bigint | number) => value.toString(16);

function commandOf({ op, count }: Access): string {
  if (op.kind === 'read') return `m${hex(op.address)},${hex(count * op.width)}`;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(op.value >>> 0);
  return `M${hex(op.address)},${op.width}:${bytes.toString('hex', 0, op.width)}`;
}

/** What a stub says by itself: that the machine has stopped (QEMU 7.2 does at every stop) or ended, or what a monitor prints. */
const unasked = (text: string): boolean => /^[TSWX][0-9a-f]{2}/i.test(text) || /^O(?:[0-9a-f]{2})+$/i.test(text);

const garbled = () => new Problem('gdb-syntax', 'QEMU got a packet with a wrong checksum', { exit: Exit.outside });

const refused = (command: string, answer: string): Problem =>
  new Problem('gdb-error', `QEMU's gdbstub refused ${command.slice(0, 40)}: ${answer}`, { exit: Exit.outside });
