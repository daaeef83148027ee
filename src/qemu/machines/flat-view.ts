import { AddressRange } from '../../address/range.js';

/** What an address space of QEMU decodes at a range. */
export interface FlatRange {
  readonly range: AddressRange;
  /** `ram`, `rom`, `i/o`, … */
  readonly kind: string;
  /** The memory region's name, without an offset into it. */
  readonly name: string;
}

/**
 * One address space in `info mtree -f` (system/memory.c, mtree_print_flatview), as the CPU sees it: no overlaps, in
 * ascending order. Empty where QEMU has no such address space, or it holds nothing.
 * @param space `memory`, `I/O`, …
 */
export function flatView(mtree: string, space: string): FlatRange[] {
  const view = mtree
    .replaceAll('\r', '')
    .split(/^FlatView #\d+$/m)
    .find((text) => text.includes(` AS "${space}", root:`));
  return [...(view ?? '').matchAll(/^ +([0-9a-f]{16})-([0-9a-f]{16}) \(prio [^,]*, ([^)]*)\): (.*)$/gm)].map(
    (match) => ({
      range: AddressRange.of(BigInt(`0x${match[1] ?? ''}`), BigInt(`0x${match[2] ?? ''}`)),
      kind: match[3] ?? '',
      name: (match[4] ?? '').replace(/ @[0-9a-f]{16}.*$/, ''),
    }),
  );
}
