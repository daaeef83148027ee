import type { AddressRange } from '../../address/range.js';
import { biosInformation, findEntryPoint } from '../../uefi/smbios.js';
import { guid } from '../../uefi/guids.js';
import { findSystemTable } from '../../uefi/system-table.js';
import type { PhysicalMemory } from '../physical-memory.js';

/**
 * Firmware by name and, where it has left word of itself in memory, by what it says it is: UEFI in its system table and
 * SMBIOS, a PC BIOS in SMBIOS. Never throws for what memory holds.
 * @param name as the command line has it
 * @param ram CPU addresses
 */
export async function describeFirmware(
  name: string,
  memory: PhysicalMemory,
  ram: readonly AddressRange[],
  isPc: boolean,
): Promise<string> {
  const read = (address: bigint, size: number) => memory.readBytes(address, size);
  const system = await findSystemTable(read, ram);
  const entry =
    system?.configuration(guid.smbios3Table) ??
    system?.configuration(guid.smbiosTable) ??
    (isPc ? await findEntryPoint(read) : null);
  const bios = entry === null ? null : await biosInformation(read, entry);
  const words = [system?.vendor ?? bios?.vendor ?? '', bios?.version ?? ''].filter(
    (word) => word !== '' && !/^unknown$/i.test(word) && word !== name,
  );
  return words.length > 0 ? `${name} (${words.join(', ')})` : name;
}
