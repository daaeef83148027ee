import { Exit, Problem } from '../problem/problem.js';
import { ascii, concat, fromAscii, little, readLittle } from './bytes.js';

/** The header that every system description table begins with. ACPI 6.5 §5.2.6. */
export const HEADER_SIZE = 36;
const LENGTH = 4;
const CHECKSUM = 9;

export interface TableHeader {
  /** Four characters: `DSDT`. */
  readonly signature: string;
  /** Bytes, header included. */
  readonly length: number;
}

/** The header at the start of `bytes`, or null where there is none: too short, or no printable signature. */
export function readHeader(bytes: Uint8Array): TableHeader | null {
  if (bytes.length < HEADER_SIZE) return null;
  const signature = ascii(bytes.subarray(0, 4));
  const length = Number(readLittle(bytes, LENGTH, 4));
  return /^[A-Z0-9_]{4}$/.test(signature) && length >= HEADER_SIZE ? { signature, length } : null;
}

/** All bytes of a table add up to 0, modulo 256. */
export const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);

/** The same table with its checksum put right. */
export function withChecksum(table: Uint8Array): Uint8Array {
  const copy = table.slice();
  copy[CHECKSUM] = 0;
  copy[CHECKSUM] = -sum(copy) & 0xff;
  return copy;
}

/** A definition block: a DSDT or SSDT with this AML. Revision 2: integers have 64 bits (ACPI 6.5 §19.6.29). */
export function definitionBlock(signature: 'DSDT' | 'SSDT', tableId: string, aml: Uint8Array): Uint8Array {
  const header = concat(
    fromAscii(signature),
    little(BigInt(HEADER_SIZE + aml.length), 4),
    2,
    0,
    fromAscii('PINBAR'),
    fromAscii(tableId.slice(0, 8).padEnd(8)),
    little(1n, 4),
    fromAscii('PNBR'),
    little(1n, 4),
  );
  return withChecksum(concat(header, aml));
}

/** Throws Problem `acpi-table`, exit 3, unless `bytes` are one whole, undamaged table of this kind. */
export function requireTable(bytes: Uint8Array, signature: string): void {
  const header = readHeader(bytes);
  const wrong =
    header?.signature !== signature
      ? `has no ${signature} header`
      : header.length !== bytes.length
        ? `says that it has ${header.length} bytes, and there are ${bytes.length}`
        : sum(bytes) !== 0
          ? 'has a wrong checksum'
          : undefined;
  if (wrong === undefined) return;
  throw new Problem('acpi-table', `an ACPI table ${wrong}`, { exit: Exit.outside, facts: { signature } });
}
