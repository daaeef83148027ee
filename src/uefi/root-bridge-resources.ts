import { decodeAddressSpaces, qwordMemory, resourceTemplate } from '../acpi/resources.js';
import { FOUR_GIB } from '../address/kinds.js';
import type { AddressRange } from '../address/range.js';

/** More than EDK2 has of them for a root bridge: six kinds, and what is added here. */
export const MAX_RESOURCES = 512;
/** What x86 firmware maps at least. */
const LEAST_MAPPED = 36n;

/**
 * What a root bridge says that it hands on (EFI_PCI_ROOT_BRIDGE_IO_PROTOCOL.Configuration(), UEFI 2.10 §14.2), with ranges
 * added: EDK2's drivers take a BAR only where it lies in one that is listed (MdeModulePkg/Bus/Pci/PciBusDxe/PciIo.c,
 * GetBarAttributes), and firmware lists what it has handed out itself.
 * @param listed as the firmware has it, and whatever follows
 * @param ranges bus addresses of memory
 * @param identityMapped the firmware has page tables as far as it needs them itself, and not of the whole window: only what
 *   lies below the power of two above the firmware's own addresses is added
 * @throws Problem `acpi-resources`, exit 3, where it is no list of resources
 */
export function withRanges(listed: Uint8Array, ranges: readonly AddressRange[], identityMapped: boolean): Uint8Array {
  const spaces = decodeAddressSpaces(listed);
  const own = spaces.filter(({ kind, base, limit }) => kind === 'memory' && base <= limit);
  const highest = own.reduce((most, { limit }) => (limit > most ? limit : most), 0n);
  const bits = BigInt(highest.toString(2).length);
  const end = identityMapped ? 1n << (bits > LEAST_MAPPED ? bits : LEAST_MAPPED) : 1n << 64n;
  const added = [ranges.filter(({ base }) => base < FOUR_GIB), ranges.filter(({ base }) => base >= FOUR_GIB)]
    .map((some) => some.filter(({ limit }) => limit < end))
    .flatMap((some) => hull(some) ?? [])
    .map(({ base, limit }) => qwordMemory(base, limit));
  const last = spaces.at(-1);
  const size = last ? last.offset + 6 + 5 * last.width : 0;
  return resourceTemplate(listed.subarray(0, size), ...added);
}

const hull = (ranges: readonly AddressRange[]): AddressRange | undefined =>
  ranges.reduce<AddressRange | undefined>((all, range) => all?.hull(range) ?? range, undefined);
