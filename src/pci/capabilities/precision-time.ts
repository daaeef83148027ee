import { bit, field } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

export const precisionTime = {
  id: 0x001f,
  name: 'Precision Time Measurement',
  spec: 'PCI Express Base 6.0 §7.9.15',
  size: 12,
  decode: (cap: CapView) => ({
    requester: bit(cap.u32(4), 0),
    responder: bit(cap.u32(4), 1),
    root: bit(cap.u32(4), 2),
    granularityNanoseconds: field(cap.u32(4), 8, 8),
    enabled: bit(cap.u32(8), 0),
  }),
} as const satisfies CapDecoder;
