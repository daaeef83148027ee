import { alignUp } from '../../address/align.js';
import { formatSize, hex } from '../../address/format.js';
import { GiB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import type { BoardProperty, BoardRegion } from './board.js';
import type { BoardProperties } from './properties.js';

/** ACPI_MAX_RAM_SLOTS, include/hw/acpi/acpi.h. */
const MOST_SLOTS = 256;

/** What `-m` says beside the size. */
export const hotplugProperties: readonly BoardProperty[] = [
  { name: 'maxmem', values: 'a size', what: 'maxmem of -m: RAM, and room above it for more to be plugged in' },
  { name: 'slots', values: `0 to ${MOST_SLOTS}`, what: 'slots of -m: each adds 1 GiB to that room, for alignment' },
];

/**
 * Where memory may be plugged in: from the next GiB above RAM on (machine_memory_devices_init with hw/arm/virt.c,
 * virt_set_memmap, and hw/i386/pc.c, pc_get_device_memory_range).
 * @param ramEnd the first address above RAM
 */
export function hotplugMemory(properties: BoardProperties, ram: bigint, ramEnd: bigint): AddressRange | undefined {
  const most = properties.size('maxmem');
  const slots = properties.count('slots', MOST_SLOTS);
  if (most === undefined) {
    if (slots > 0) throw properties.mistake('slots', 'there is no room for memory in them', 'set maxmem as well');
    return undefined;
  }
  if (most < ram || (most === ram && slots > 0)) {
    const what = `${formatSize(most)} (${hex(most)}) is ${most < ram ? 'less than' : 'no more than'} the RAM that there is, ${formatSize(ram)}`;
    throw properties.mistake('maxmem', what);
  }
  const size = most - ram + BigInt(slots) * GiB;
  return size > 0n ? AddressRange.sized(alignUp(ramEnd, GiB), size) : undefined;
}

export const hotplugRegion = (range: AddressRange): BoardRegion => ({ name: 'memory hotplug', range, use: 'kept' });
