import { setBits } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

const bits = { pciPmL12: 0, pciPmL11: 1, aspmL12: 2, aspmL11: 3 } as const;

export const l1Substates = {
  id: 0x001e,
  name: 'L1 PM Substates',
  spec: 'PCI Express Base 6.0 §7.8.3',
  size: 16,
  decode: (cap: CapView) => ({ capable: setBits(bits, cap.u32(4)), enabled: setBits(bits, cap.u32(8)) }),
} as const satisfies CapDecoder;
