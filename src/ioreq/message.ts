import { deviceFunction, type Bdf } from '../pci/bdf.js';
import type { MemoryWidth } from '../sim/memory/access.js';
import type { IoreqRequest } from '../sim/memory/ioreq.js';

/**
 * The protocol between a simulated machine and an IOREQ server in another thread or process. Every message has 24 bytes,
 * little-endian: type (1), width of an access in bytes (1), zero (2), number (4), and two values of 8 bytes. The server says hello,
 * claims, and enables itself; each of these is answered by `done` or `refused` with its number. Accesses are answered by `answer`
 * with theirs, in any order.
 */
export const MESSAGE_SIZE = 24;
export const PROTOCOL_VERSION = 1n;

/** Types of messages; the values are the protocol's. */
const types = {
  /** To the server. First value: the address, or segment, bus, device and function in bits 63:32 and the register below. */
  read: 1,
  write: 2,
  readConfig: 3,
  writeConfig: 4,
  done: 5,
  refused: 6,
  /** From the server. First value of hello: the version; of claims: first and last address, or a function. */
  hello: 16,
  claimMemory: 17,
  releaseMemory: 18,
  claimFunction: 19,
  releaseFunction: 20,
  enable: 21,
  disable: 22,
  detach: 23,
  answer: 24,
} as const;

export type MessageType = keyof typeof types;
const nameOf = new Map<number, MessageType>((Object.keys(types) as MessageType[]).map((name) => [types[name], name]));

/** What a server asks for; each is answered. */
export type Wish = Exclude<
  MessageType,
  'read' | 'write' | 'readConfig' | 'writeConfig' | 'done' | 'refused' | 'answer'
>;

export interface Message {
  readonly type: MessageType;
  /** Bytes of an access, else 0. */
  readonly width: number;
  readonly number: number;
  readonly first: bigint;
  readonly second: bigint;
}

export function encodeMessage({ type, width, number, first, second }: Message): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, types[type]);
  view.setUint8(1, width);
  view.setUint32(4, number, true);
  view.setBigUint64(8, first, true);
  view.setBigUint64(16, second, true);
  return bytes;
}

/** Undefined where these bytes are no message. */
export function decodeMessage(bytes: Uint8Array): Message | undefined {
  if (bytes.length !== MESSAGE_SIZE) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const type = nameOf.get(view.getUint8(0));
  if (type === undefined || view.getUint16(2, true) !== 0) return undefined;
  return {
    type,
    width: view.getUint8(1),
    number: view.getUint32(4, true),
    first: view.getBigUint64(8, true),
    second: view.getBigUint64(16, true),
  };
}

/** A function as `first` of a message has it, without a register. */
export const functionNumber = (at: Bdf): bigint =>
  BigInt(at.segment * 0x1_0000 + at.bus * 0x100 + deviceFunction(at)) << 32n;

/** The function in bits 63:32. */
export function functionAt(value: bigint): Bdf {
  const number = Number(value >> 32n);
  return { segment: number >>> 16, bus: (number >> 8) & 0xff, device: (number >> 3) & 0x1f, fn: number & 7 };
}

export function requestMessage(number: number, request: IoreqRequest): Message {
  if (request.space === 'memory') {
    const { kind, address, width } = request.access;
    return { type: kind, width, number, first: address, second: kind === 'write' ? request.access.value : 0n };
  }
  const { kind, at, register, width } = request.op;
  const type = kind === 'read' ? 'readConfig' : 'writeConfig';
  const first = functionNumber(at) | BigInt(register);
  return { type, width, number, first, second: kind === 'write' ? BigInt(request.op.value) : 0n };
}

/** The access that a message asks for. Undefined where it asks for none, or for one that cannot be. */
export function messageRequest({ type, width, first, second }: Message): IoreqRequest | undefined {
  if (width !== 1 && width !== 2 && width !== 4 && width !== 8) return undefined;
  const value = BigInt.asUintN(8 * width, second);
  if (type === 'read') return { space: 'memory', access: { kind: type, address: first, width } };
  if (type === 'write') return { space: 'memory', access: { kind: type, address: first, width, value } };
  return type === 'readConfig' || type === 'writeConfig' ? configRequest(type, first, width, value) : undefined;
}

function configRequest(type: 'readConfig' | 'writeConfig', first: bigint, width: MemoryWidth, value: bigint) {
  const register = Number(first & 0xffff_ffffn);
  if (width === 8 || register + width > 0x1000 || register % width !== 0) return undefined;
  const where = { at: functionAt(first), register, width };
  return type === 'readConfig'
    ? ({ space: 'config', op: { kind: 'read', ...where } } as const)
    : ({ space: 'config', op: { kind: 'write', ...where, value: Number(value) } } as const);
}
