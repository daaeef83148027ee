import { readLittle } from '../acpi/bytes.js';
import { uuidBytes } from '../acpi/uuid.js';
import type { ReadMemory } from '../acpi/find.js';
import type { AddressRange } from '../address/range.js';
import { Exit, Problem } from '../problem/problem.js';

/** What firmware says of itself. UEFI 2.10 §4.3. */
export interface SystemTable {
  /** `EDK II`, `Debian distribution of EDK II`. */
  readonly vendor: string;
  /** Where the configuration table with this GUID is; undefined where firmware installed none. */
  readonly configuration: (guid: string) => bigint | undefined;
}

const SYSTEM_TABLE = 0x5453_5953_2049_4249n; // "IBI SYST"
const MAX_CONFIGURATION_TABLES = 256;
const MAX_VENDOR = 100;

/**
 * Reads an EFI system table.
 * @throws Problem `uefi-system-table`, exit 3
 */
export async function readSystemTable(read: ReadMemory, at: bigint): Promise<SystemTable> {
  const table = await read(at, 0x78);
  if (readLittle(table, 0, 8) !== SYSTEM_TABLE) {
    throw new Problem('uefi-system-table', `there is no UEFI system table at 0x${at.toString(16)}`, {
      exit: Exit.outside,
    });
  }
  const vendor = await read(readLittle(table, 0x18, 8), 2 * MAX_VENDOR);
  const count = Math.min(MAX_CONFIGURATION_TABLES, Number(readLittle(table, 0x68, 8) & 0xffffn));
  const entries = await read(readLittle(table, 0x70, 8), 24 * count);
  return {
    vendor: wideString(vendor),
    configuration: (guid) => {
      const wanted = uuidBytes(guid);
      for (let entry = 0; entry < entries.length; entry += 24) {
        if (wanted.every((byte, i) => entries[entry + i] === byte)) return readLittle(entries, entry + 16, 8);
      }
      return undefined;
    },
  };
}

/** UCS-2 up to its end; what no message should carry becomes a question mark. */
function wideString(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i + 1 < bytes.length; i += 2) {
    const code = (bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8);
    if (code === 0) break;
    text += code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : '?';
  }
  return text;
}

/** EFI_SYSTEM_TABLE_POINTER lies on a multiple of this, for debuggers. UEFI 2.10 §18.4.2. */
const POINTER_ALIGNMENT = 4n << 20n;
/** From the top of RAM down, where EDK2 puts it: 4 GiB are looked through. */
const MAX_POINTERS = 1024;

/**
 * Finds the system table of firmware that runs, or ran, by what it leaves for debuggers.
 * @param ram CPU addresses, ascending
 */
export async function findSystemTable(read: ReadMemory, ram: readonly AddressRange[]): Promise<SystemTable | null> {
  let left = MAX_POINTERS;
  for (const { base, limit } of ram.toReversed()) {
    for (let at = limit & -POINTER_ALIGNMENT; at >= base && left > 0; at -= POINTER_ALIGNMENT, left--) {
      const pointer = await read(at, 16);
      if (readLittle(pointer, 0, 8) !== SYSTEM_TABLE) continue;
      try {
        return await readSystemTable(read, readLittle(pointer, 8, 8));
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== 'uefi-system-table') throw error;
      }
    }
  }
  return null;
}
