import { bit, field } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

export const addressTranslation = {
  id: 0x000f,
  name: 'Address Translation Services',
  spec: 'PCI Express Base 6.0 §10.5.1',
  size: 8,
  decode: (cap: CapView) => ({
    queueDepth: field(cap.u16(4), 0, 5) || 32,
    pageAligned: bit(cap.u16(4), 5),
    enabled: bit(cap.u16(6), 15),
  }),
} as const satisfies CapDecoder;
