import { hex } from '../../address/format.js';
import type { PlacedFunction } from '../layout.js';

/** A pinned address as pinbar and the QEMU series write it: `bar2@0x6b8000000000`. */
export interface PinWord {
  readonly word: string;
  /** A 64-bit prefetchable BAR: the only kind that the series of 2026-05 and its successor know. */
  readonly wide: boolean;
}

/** What is pinned of one function. */
export function pinWords({ planned, wanted }: PlacedFunction): PinWord[] {
  const words = planned.bars
    .filter(({ pinned }) => pinned)
    .map(({ index, type, prefetchable, address }) => ({
      word: `bar${index}@${hex(address)}`,
      wide: type === 'mem64' && prefetchable && !wanted?.bridge,
    }));
  const { rom, sriov } = planned;
  if (rom?.pinned) words.push({ word: `rom@${hex(rom.address)}`, wide: false });
  for (const bar of sriov?.bars ?? []) {
    if (bar.pinned) words.push({ word: `vf${bar.index}@${hex(bar.address)}`, wide: false });
  }
  return words;
}
