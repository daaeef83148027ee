import { field } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

export const alternativeRoutingId = {
  id: 0x000e,
  name: 'Alternative Routing-ID Interpretation',
  spec: 'PCI Express Base 6.0 §7.8.8',
  size: 8,
  /** `nextFunction`: the next function number of this device, 0 in the last. */
  decode: (cap: CapView) => ({ nextFunction: field(cap.u16(4), 8, 8), functionGroup: field(cap.u16(6), 4, 3) }),
} as const satisfies CapDecoder;
