import { bit } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

export const pageRequest = {
  id: 0x0013,
  name: 'Page Request Interface',
  spec: 'PCI Express Base 6.0 §10.5.2',
  size: 16,
  decode: (cap: CapView) => ({
    enabled: bit(cap.u16(4), 0),
    stopped: bit(cap.u16(6), 8),
    capacity: cap.u32(8),
    allocation: cap.u32(12),
  }),
} as const satisfies CapDecoder;
