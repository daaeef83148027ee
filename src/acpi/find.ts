import { Exit, Problem } from '../problem/problem.js';
import { ascii, readLittle } from './bytes.js';
import { HEADER_SIZE, readHeader } from './table.js';

/** Reads guest physical memory. */
export type ReadMemory = (address: bigint, size: number) => Promise<Uint8Array>;

export interface FoundTable {
  /** Physical address. */
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** QEMU's largest table is a few dozen KiB; a length beyond this is no table. */
const MAX_TABLE = 1 << 20;
const MAX_TABLES = 256;

/**
 * The DSDT that a root pointer leads to: RSDP, XSDT, FADT, DSDT. ACPI 6.5 §5.2.5 to §5.2.9.
 * @param rsdp physical address of the root pointer, revision 2 or later
 * @throws Problem `acpi-tables`, exit 3, where the way is broken
 */
export async function findDsdt(read: ReadMemory, rsdp: bigint): Promise<FoundTable> {
  const root = await read(rsdp, 36);
  if (ascii(root.subarray(0, 8)) !== 'RSD PTR ' || (root[15] ?? 0) < 2) throw broken('no root pointer of ACPI 2.0');
  const xsdt = await tableAt(read, readLittle(root, 24, 8), 'XSDT');
  const entries = Math.min(MAX_TABLES, Math.floor((xsdt.bytes.length - HEADER_SIZE) / 8));
  for (let i = 0; i < entries; i++) {
    const address = readLittle(xsdt.bytes, HEADER_SIZE + 8 * i, 8);
    if (ascii(await read(address, 4)) !== 'FACP') continue;
    const { bytes: fadt } = await tableAt(read, address, 'FACP');
    const wide = readLittle(fadt, 140, 8);
    return tableAt(read, wide === 0n ? readLittle(fadt, 40, 4) : wide, 'DSDT');
  }
  throw broken('no FADT');
}

async function tableAt(read: ReadMemory, address: bigint, signature: string): Promise<FoundTable> {
  const header = readHeader(await read(address, HEADER_SIZE));
  if (header?.signature !== signature || header.length > MAX_TABLE) {
    throw broken(`no ${signature} at 0x${address.toString(16)}`);
  }
  return { address, bytes: await read(address, header.length) };
}

const broken = (what: string) =>
  new Problem('acpi-tables', `the firmware's ACPI tables have ${what}`, { exit: Exit.outside });
