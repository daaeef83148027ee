import { formatSize, hex, roughSize } from '../../address/format.js';
import { alignDown, alignUp, isPowerOfTwo } from '../../address/align.js';
import { AddressRange } from '../../address/range.js';

/** The lowest aligned place for `size` bytes in an empty range, or undefined. `alignment` is a power of two. */
export function slotIn(range: AddressRange, size: bigint, alignment: bigint): AddressRange | undefined {
  if (size <= 0n || !isPowerOfTwo(alignment)) return undefined;
  const base = alignUp(range.base, alignment);
  return base + size - 1n <= range.limit && base < 1n << 64n ? AddressRange.sized(base, size) : undefined;
}

/** Why no aligned place of `size` bytes is in a range that is larger than that. */
export function noSlotSentence(range: AddressRange, size: bigint): string {
  const below = alignDown(range.base, size);
  const first = alignUp(range.base, size);
  const parts: string[] = [];
  if (below < range.base) parts.push(`${hex(below)} is below the window`);
  const last = first + size - 1n;
  parts.push(
    first > range.limit
      ? `${hex(first)} is above it`
      : `${hex(first)} would end at ${hex(last)}, ${hex(last - range.limit)} bytes past the window's end`,
  );
  return `a BAR of ${hex(size)} bytes starts at a multiple of its size: ${parts.join(', ')}`;
}

/** `0x2eff0000 bytes (~752 MiB)` */
export function bytes(size: bigint): string {
  const rough = roughSize(size);
  return rough === formatSize(size) && !rough.startsWith('0x')
    ? `${hex(size)} bytes (${rough})`
    : `${hex(size)} bytes (${rough})`;
}

/** `window 0x10000000-0x3efeffff (0x2eff0000 bytes, ~752 MiB)` */
export const rangeText = (range: AddressRange): string =>
  `${range.toString()} (${hex(range.size)} bytes, ${roughSize(range.size)})`;

/** What a set of sizes takes together, smallest possible. */
export const sumOf = (sizes: readonly bigint[]): bigint => sizes.reduce((sum, size) => sum + size, 0n);
