import { ascii, readLittle } from '../acpi/bytes.js';
import type { ReadMemory } from '../acpi/find.js';

/** Who made the firmware, and which. SMBIOS 3.6 §7.1, type 0; empty where it says nothing. */
export interface BiosInformation {
  readonly vendor: string;
  readonly version: string;
}

/** What is read of a structure table at most. */
const MAX_TABLE = 1 << 16;

/**
 * Reads the BIOS information that an SMBIOS entry point leads to, or null where it leads to none.
 * @param entryPoint at its anchor: 64-bit (`_SM3_`) or 32-bit (`_SM_`), SMBIOS 3.6 §5.2
 */
export async function biosInformation(read: ReadMemory, entryPoint: bigint): Promise<BiosInformation | null> {
  const entry = await read(entryPoint, 32);
  const wide = ascii(entry.subarray(0, 5)) === '_SM3_';
  if (!wide && ascii(entry.subarray(0, 4)) !== '_SM_') return null;
  const at = wide ? readLittle(entry, 0x10, 8) : readLittle(entry, 0x18, 4);
  const size = Math.min(MAX_TABLE, Number(wide ? readLittle(entry, 0x0c, 4) : readLittle(entry, 0x16, 2)));
  return fromTable(await read(at, size));
}

function fromTable(table: Uint8Array): BiosInformation | null {
  for (let at = 0; at + 4 <= table.length;) {
    const type = table[at];
    const length = table[at + 1] ?? 0;
    if (length < 4) return null;
    const strings: string[] = [];
    let next = at + length;
    // Strings follow, each with its zero, and one zero more; two zeros where there is none.
    while (next < table.length && table[next] !== 0) {
      const end = table.indexOf(0, next);
      if (end === -1) return null;
      strings.push(ascii(table.subarray(next, Math.min(end, next + 100))).replace(/[^ -~]/g, '?'));
      next = end + 1;
    }
    if (type === 0) {
      const text = (field: number) => strings[(table[at + field] ?? 0) - 1]?.trim() ?? '';
      return { vendor: text(4), version: text(5) };
    }
    at = next + (strings.length > 0 ? 1 : 2);
  }
  return null;
}

/** Where BIOSes leave their entry point: on 16 bytes from here on, SMBIOS 3.6 §5.2.1. */
export const LEGACY_ANCHORS = { base: 0xf_0000n, size: 0x1_0000 } as const;

/** The entry point in that range, or null. */
export async function findEntryPoint(read: ReadMemory): Promise<bigint | null> {
  const bytes = await read(LEGACY_ANCHORS.base, LEGACY_ANCHORS.size);
  for (let at = 0; at < bytes.length; at += 16) {
    if (/^_SM3?_/.test(ascii(bytes.subarray(at, at + 5)))) return LEGACY_ANCHORS.base + BigInt(at);
  }
  return null;
}
