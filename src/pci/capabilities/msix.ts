import { bit, field } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

/** A structure inside a BAR: the BAR's index and the offset in bytes. */
const inBar = (value: number) => ({ bar: value & 0b111, offset: (value & ~0b111) >>> 0 });

export const msix = {
  id: 0x11,
  name: 'MSI-X',
  spec: 'PCI Express Base 6.0 §7.7.2',
  size: 12,
  decode(cap: CapView) {
    const control = cap.u16(2);
    return {
      enabled: bit(control, 15),
      masked: bit(control, 14),
      vectors: field(control, 0, 11) + 1,
      table: inBar(cap.u32(4)),
      pending: inBar(cap.u32(8)),
    };
  },
} as const satisfies CapDecoder;
