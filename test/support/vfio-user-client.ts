import { connect, type Socket } from 'node:net';
import { commands, encodeCommand, HEADER_SIZE } from '../../src/twin/protocol.js';

export interface Reply {
  readonly id: number;
  readonly command: number;
  /** 0: it is none. */
  readonly errno: number;
  readonly payload: Buffer;
}

/** The client's side of vfio-user: what QEMU does, and what it never would. */
export class VfioUserClient {
  #bytes: Buffer = Buffer.alloc(0);
  readonly #waiting: ((reply: Reply | undefined) => void)[] = [];
  readonly #replies: Reply[] = [];
  #id = 0;
  readonly closed: Promise<void>;
  #over = false;

  private constructor(readonly socket: Socket) {
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = this.#bytes.length > 0 ? Buffer.concat([this.#bytes, chunk]) : chunk;
      this.#take();
    });
    this.closed = new Promise((resolve) =>
      socket.once('close', () => {
        this.#over = true;
        for (const wake of this.#waiting.splice(0)) wake(undefined);
        resolve();
      }),
    );
  }

  static async connect(path: string): Promise<VfioUserClient> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new VfioUserClient(socket);
  }

  /** Connects and agrees on the version. */
  static async ready(path: string): Promise<VfioUserClient> {
    const client = await VfioUserClient.connect(path);
    const reply = await client.ask(commands.version, versionPayload({}));
    if (reply?.errno !== 0) throw new Error('no version was agreed on');
    return client;
  }

  /** Sends a command and waits for its reply; undefined: the connection ended. */
  ask(command: number, payload?: Uint8Array): Promise<Reply | undefined> {
    this.socket.write(encodeCommand(++this.#id & 0xffff, command, payload));
    return this.reply();
  }

  reply(): Promise<Reply | undefined> {
    const ready = this.#replies.shift();
    if (ready || this.#over) return Promise.resolve(ready);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async read(region: number, offset: bigint, count: number): Promise<Buffer> {
    const reply = await this.ask(commands.regionRead, accessPayload(region, offset, count));
    if (reply?.errno !== 0) throw new Error(`read refused with ${reply?.errno ?? 'the connection’s end'}`);
    return reply.payload.subarray(16);
  }

  async write(region: number, offset: bigint, data: Uint8Array): Promise<void> {
    const payload = Buffer.concat([accessPayload(region, offset, data.length), data]);
    const reply = await this.ask(commands.regionWrite, payload);
    if (reply?.errno !== 0) throw new Error(`write refused with ${reply?.errno ?? 'the connection’s end'}`);
  }

  async config(register: number): Promise<number> {
    return (await this.read(7, BigInt(register), 4)).readUInt32LE(0);
  }

  async writeConfig(register: number, value: number): Promise<void> {
    const data = Buffer.alloc(4);
    data.writeUInt32LE(value);
    await this.write(7, BigInt(register), data);
  }

  close(): Promise<void> {
    this.socket.destroy();
    return this.closed;
  }

  #take(): void {
    while (this.#bytes.length >= HEADER_SIZE) {
      const size = this.#bytes.readUInt32LE(4);
      if (this.#bytes.length < size) return;
      const reply: Reply = {
        id: this.#bytes.readUInt16LE(0),
        command: this.#bytes.readUInt16LE(2),
        errno: this.#bytes.readUInt32LE(8) & 0x20 ? this.#bytes.readUInt32LE(12) : 0,
        payload: this.#bytes.subarray(HEADER_SIZE, size),
      };
      this.#bytes = this.#bytes.subarray(size);
      const wake = this.#waiting.shift();
      if (wake) wake(reply);
      else this.#replies.push(reply);
    }
  }
}

/** As QEMU says it. */
export function versionPayload(capabilities: object, major = 0, minor = 0): Buffer {
  const payload = Buffer.from(`0000${JSON.stringify({ capabilities })}\0`);
  payload.writeUInt16LE(major, 0);
  payload.writeUInt16LE(minor, 2);
  return payload;
}

export function accessPayload(region: number, offset: bigint, count: number): Buffer {
  const payload = Buffer.alloc(16);
  payload.writeBigUInt64LE(offset, 0);
  payload.writeUInt32LE(region, 8);
  payload.writeUInt32LE(count, 12);
  return payload;
}

/** Numbers as the protocol's structures have them: `u32` then `u64` where a bigint is given. */
export function fields(...values: (number | bigint)[]): Buffer {
  return Buffer.concat(
    values.map((value) => {
      const bytes = Buffer.alloc(typeof value === 'bigint' ? 8 : 4);
      if (typeof value === 'bigint') bytes.writeBigUInt64LE(value);
      else bytes.writeUInt32LE(value);
      return bytes;
    }),
  );
}
