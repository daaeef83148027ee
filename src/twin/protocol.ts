/**
 * The vfio-user protocol, version 0.0, as QEMU's docs/interop/vfio-user.rst has it: messages of a 16-byte header and a
 * payload, little-endian on every machine that QEMU's client runs on.
 */

export const HEADER_SIZE = 16;

/** Command numbers. Those that only a server sends (DMA_READ, DMA_WRITE) are not answered here. */
export const commands = {
  version: 1,
  dmaMap: 2,
  dmaUnmap: 3,
  deviceGetInfo: 4,
  deviceGetRegionInfo: 5,
  deviceGetRegionIoFds: 6,
  deviceGetIrqInfo: 7,
  deviceSetIrqs: 8,
  regionRead: 9,
  regionWrite: 10,
  deviceReset: 13,
  regionWriteMulti: 15,
} as const;

const TYPE_MASK = 0xf;
const TYPE_COMMAND = 0;
const REPLY = 1;
const NO_REPLY = 0x10;
const ERROR = 0x20;

/** Errors in replies, by Linux's numbers. */
export const errno = { ENOENT: 2, EINVAL: 22, EEXIST: 17, ENOSPC: 28, EOPNOTSUPP: 95 } as const;

/** A command that is answered with an error. */
export class Refusal extends Error {
  constructor(readonly errno: number) {
    super(`refused with errno ${errno}`);
  }
}

/** Bytes that one read or write may carry: the protocol's default. */
export const MAX_DATA = 1024 * 1024;
/** No message that makes sense is larger: a write of {@link MAX_DATA} bytes. */
export const MAX_MESSAGE = HEADER_SIZE + 16 + MAX_DATA;
/** Descriptors that a client may send in one message; QEMU takes no more. They are dropped: Node has no way to take them. */
export const MAX_FDS = 16;
/** DMA mappings that a client may have. */
export const MAX_DMA_MAPS = 65535;

export interface Message {
  readonly id: number;
  readonly command: number;
  /** False: the client wants no reply. */
  readonly wantsReply: boolean;
  readonly payload: Buffer;
}

/** Bytes that are no message: the stream cannot be followed any more. */
export class BrokenStream extends Error {}

/**
 * Cuts a stream into messages. It keeps what has arrived and was not taken, and no more, whatever a header promises.
 */
export class MessageDecoder {
  /** From `start` to `end` it holds what was not taken; as large as it is only where `own`. */
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;
  #own = false;

  /** Bytes have come that were not taken as messages. */
  get pending(): boolean {
    return this.#end > this.#start;
  }

  push(chunk: Buffer): void {
    const left = this.#end - this.#start;
    if (left === 0) {
      this.#bytes = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      this.#own = false;
      return;
    }
    if (!this.#own || this.#end + chunk.length > this.#bytes.length) {
      // Twice what is there, so that a message in many pieces is not copied for each of them.
      const larger = Buffer.allocUnsafe(Math.max(left + chunk.length, 2 * left));
      this.#bytes.copy(larger, 0, this.#start, this.#end);
      this.#bytes = larger;
      this.#start = 0;
      this.#end = left;
      this.#own = true;
    }
    this.#end += chunk.copy(this.#bytes, this.#end);
  }

  /**
   * The next whole message; its payload may be overwritten by the next `push`. Undefined: more has to come.
   * @throws BrokenStream; nothing that follows can be understood then
   */
  next(): Message | undefined {
    const bytes = this.#bytes;
    const at = this.#start;
    if (this.#end - at < HEADER_SIZE) return undefined;
    const size = bytes.readUInt32LE(at + 4);
    const flags = bytes.readUInt32LE(at + 8);
    if (size < HEADER_SIZE || size > MAX_MESSAGE) {
      throw new BrokenStream(`it announced a message of ${size} bytes; one has ${HEADER_SIZE} to ${MAX_MESSAGE}`);
    }
    if ((flags & TYPE_MASK) !== TYPE_COMMAND) throw new BrokenStream('it sent a reply, and nothing had been asked');
    if (this.#end - at < size) return undefined;
    this.#start += size;
    return {
      id: bytes.readUInt16LE(at),
      command: bytes.readUInt16LE(at + 2),
      wantsReply: (flags & NO_REPLY) === 0,
      payload: bytes.subarray(at + HEADER_SIZE, at + size),
    };
  }
}

/** A command as a client sends it; for tests and benchmarks. */
export function encodeCommand(id: number, command: number, payload: Uint8Array = Buffer.alloc(0), wantsReply = true) {
  return message(id, command, wantsReply ? 0 : NO_REPLY, 0, payload);
}

export const encodeReply = ({ id, command }: Message, payload: Uint8Array): Buffer =>
  message(id, command, REPLY, 0, payload);

/** An error has no payload. */
export const encodeError = ({ id, command }: Message, number: number): Buffer =>
  message(id, command, REPLY | ERROR, number, Buffer.alloc(0));

function message(id: number, command: number, flags: number, error: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_SIZE + payload.length);
  bytes.writeUInt16LE(id, 0);
  bytes.writeUInt16LE(command, 2);
  bytes.writeUInt32LE(bytes.length, 4);
  bytes.writeUInt32LE(flags, 8);
  bytes.writeUInt32LE(error, 12);
  bytes.set(payload, HEADER_SIZE);
  return bytes;
}
