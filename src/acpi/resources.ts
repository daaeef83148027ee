import { Exit, Problem } from '../problem/problem.js';
import { concat, little, readLittle } from './bytes.js';

/** Resource descriptors, ACPI 6.5 §6.4. */
const END_TAG = 0x79;
/** Address space descriptors by tag: how many bytes each of their numbers has. */
const widths: Readonly<Record<number, 2 | 4 | 8>> = { 0x88: 2, 0x87: 4, 0x8a: 8 };
const kinds = ['memory', 'io', 'bus'] as const;
const PRODUCER_MIN_AND_MAX_FIXED = 0x0c;
const READ_WRITE = 0x01;
/** Of ports: addresses of the ISA bus and others; memory on the other side of the bridge. */
const ENTIRE_RANGE = 0x03;
const TYPE_TRANSLATION = 0x10;
/** Tag, length, kind, general and type-specific flags: what precedes the numbers. */
const NUMBERS = 6;

/** A window of a bridge, or a range that a device uses. */
export interface AddressSpace {
  readonly kind: (typeof kinds)[number];
  /** Bytes of each number in it. */
  readonly width: 2 | 4 | 8;
  readonly base: bigint;
  /** The last address. */
  readonly limit: bigint;
  /** What is added for the other side of a bridge. */
  readonly translation: bigint;
  /** Of its descriptor in what was decoded. */
  readonly offset: number;
}

/**
 * The address space descriptors of a resource template; others are stepped over.
 * @throws Problem `acpi-resources`, exit 3, where a descriptor or the end tag is cut off
 */
export function decodeAddressSpaces(bytes: Uint8Array): AddressSpace[] {
  const found: AddressSpace[] = [];
  for (let at = 0; ;) {
    const tag = bytes[at];
    if (tag === END_TAG) return found;
    const large = tag !== undefined && tag >= 0x80;
    const size = tag === undefined ? 0 : large ? 3 + Number(readLittle(bytes, at + 1, 2)) : 1 + (tag & 7);
    const width = tag === undefined ? undefined : widths[tag];
    if (size === 0 || at + size > bytes.length || (width && size < NUMBERS + 5 * width)) {
      throw new Problem('acpi-resources', `the resource template is cut off at offset 0x${at.toString(16)}`, {
        exit: Exit.outside,
        facts: { at },
      });
    }
    const kind = kinds[bytes[at + 3] ?? 0];
    if (width && kind) {
      const number = (index: number) => readLittle(bytes, at + NUMBERS + index * width, width);
      found.push({ kind, width, base: number(1), limit: number(2), translation: number(3), offset: at });
    }
    at += size;
  }
}

const tags = { 2: 0x88, 4: 0x87, 8: 0x8a } as const;

/** A window that a host bridge hands on. `flags`: what the kind has of its own, ACPI 6.5 §6.4.3.5.5. */
function addressSpace(
  { kind, width, base, limit, translation }: Omit<AddressSpace, 'offset'>,
  flags: number,
): Uint8Array {
  const numbers = [0n, base, limit, translation, limit - base + 1n].map((value) => little(value, width));
  const length = BigInt(NUMBERS - 3 + 5 * width);
  return concat(tags[width], little(length, 2), kinds.indexOf(kind), PRODUCER_MIN_AND_MAX_FIXED, flags, ...numbers);
}

/** 64-bit memory, read and written, not cached. `translation` is modulo 2^64. */
export const qwordMemory = (base: bigint, limit: bigint, translation = 0n): Uint8Array =>
  addressSpace({ kind: 'memory', width: 8, base, limit, translation }, READ_WRITE);

/** The same below 4 GiB. */
export const dwordMemory = (base: bigint, limit: bigint): Uint8Array =>
  addressSpace({ kind: 'memory', width: 4, base, limit, translation: 0n }, READ_WRITE);

/** Ports. With a translation the CPU reaches them as memory there. */
export const ioPorts = (base: bigint, limit: bigint, translation: bigint): Uint8Array =>
  addressSpace(
    { kind: 'io', width: 4, base, limit, translation },
    translation === 0n ? ENTIRE_RANGE : ENTIRE_RANGE | TYPE_TRANSLATION,
  );

/** Bus numbers, first and last. */
export const busNumbers = (first: number, last: number): Uint8Array =>
  addressSpace({ kind: 'bus', width: 2, base: BigInt(first), limit: BigInt(last), translation: 0n }, 0);

/** The content of a resource template's buffer. A checksum of 0 is taken for right. */
export const resourceTemplate = (...descriptors: readonly Uint8Array[]): Uint8Array =>
  concat(...descriptors, END_TAG, 0);

/** Moves base and limit of a descriptor in place; its length follows. */
export function setRange(bytes: Uint8Array, { width, offset }: AddressSpace, base: bigint, limit: bigint): void {
  bytes.set(little(base, width), offset + NUMBERS + width);
  bytes.set(little(limit, width), offset + NUMBERS + 2 * width);
  bytes.set(little(limit - base + 1n, width), offset + NUMBERS + 4 * width);
}
