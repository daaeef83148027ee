import { bit, field } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

export const slotIdentification = {
  id: 0x04,
  name: 'Slot Identification',
  spec: 'PCI-to-PCI Bridge Architecture 1.2 §13.2',
  size: 4,
  decode: (cap: CapView) => ({
    slots: field(cap.u8(2), 0, 5),
    firstInChassis: bit(cap.u8(2), 5),
    chassis: cap.u8(3),
  }),
} as const satisfies CapDecoder;
