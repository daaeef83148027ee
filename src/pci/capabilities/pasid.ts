import { bit, field } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

export const processAddressSpaceId = {
  id: 0x001b,
  name: 'Process Address Space ID',
  spec: 'PCI Express Base 6.0 §7.8.9',
  size: 8,
  decode: (cap: CapView) => ({
    execute: bit(cap.u16(4), 1),
    privileged: bit(cap.u16(4), 2),
    maxWidth: field(cap.u16(4), 8, 5),
    enabled: bit(cap.u16(6), 0),
  }),
} as const satisfies CapDecoder;
