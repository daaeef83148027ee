import { bit, field, named } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

/** BAR Equivalent Indicator. */
const equivalents = {
  0: 'bar0',
  1: 'bar1',
  2: 'bar2',
  3: 'bar3',
  4: 'bar4',
  5: 'bar5',
  6: 'behind-bridge',
  7: 'none',
  8: 'rom',
  9: 'vf0',
  10: 'vf1',
  11: 'vf2',
  12: 'vf3',
  13: 'vf4',
  14: 'vf5',
} as const;

const properties = {
  0: 'memory',
  1: 'memory-prefetchable',
  2: 'io',
  3: 'vf-memory-prefetchable',
  4: 'vf-memory',
  5: 'bridge-memory',
  6: 'bridge-memory-prefetchable',
  7: 'bridge-io',
  0xfd: 'unavailable-memory',
  0xfe: 'unavailable-io',
  0xff: 'unavailable',
} as const;

function entry(cap: CapView, at: number) {
  const format = cap.u32(at);
  const base = cap.u32(at + 4);
  const offset = cap.u32(at + 8);
  // Bit 1 of either says that its upper half follows; bits 1:0 of a base are zero, of a limit's offset one.
  const baseUpper = bit(base, 1) ? cap.u32(at + 12) : 0;
  const offsetUpper = bit(offset, 1) ? cap.u32(at + (bit(base, 1) ? 16 : 12)) : 0;
  const first = (BigInt(baseUpper) << 32n) | BigInt((base & ~0b11) >>> 0);
  return {
    equivalent: named(equivalents, field(format, 4, 4)),
    primary: named(properties, field(format, 8, 8)),
    secondary: named(properties, field(format, 16, 8)),
    writable: bit(format, 30),
    enabled: bit(format, 31),
    base: first,
    /** Bytes; not always a power of two. */
    size: ((BigInt(offsetUpper) << 32n) | BigInt((offset | 0b11) >>> 0)) + 1n,
    /** Dwords that follow the entry's first. */
    dwords: field(format, 0, 3),
  };
}

/** Ranges that are fixed in the device: its BARs there read zero. */
export const enhancedAllocation = {
  id: 0x14,
  name: 'Enhanced Allocation',
  spec: 'PCI Express Base 6.0 §7.8.5',
  size: 4,
  decode(cap: CapView) {
    const count = field(cap.u8(2), 0, 6);
    const bridge = cap.headerType === 1;
    const entries: ReturnType<typeof entry>[] = [];
    let at = bridge ? 8 : 4;
    for (let i = 0; i < count; i++) {
      const next = entry(cap, at);
      entries.push(next);
      at += 4 + 4 * next.dwords;
    }
    return { entries, buses: bridge ? { secondary: cap.u8(4), subordinate: cap.u8(5) } : null };
  },
} as const satisfies CapDecoder;
