import { bit, field } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

export const msi = {
  id: 0x05,
  name: 'MSI',
  spec: 'PCI Express Base 6.0 §7.7.1',
  size: 24,
  decode(cap: CapView) {
    const control = cap.u16(2);
    const wide = bit(control, 7);
    return {
      enabled: bit(control, 0),
      /** Vectors that the function asks for, and those that it was given; powers of two. */
      vectors: 1 << field(control, 1, 3),
      vectorsEnabled: 1 << field(control, 4, 3),
      address64: wide,
      perVectorMasking: bit(control, 8),
      address: (wide ? BigInt(cap.u32(8)) << 32n : 0n) | BigInt(cap.u32(4)),
      data: cap.u16(wide ? 12 : 8),
    };
  },
} as const satisfies CapDecoder;
