import { setBits } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

const bits = {
  sourceValidation: 0,
  translationBlocking: 1,
  requestRedirect: 2,
  completionRedirect: 3,
  upstreamForwarding: 4,
  egressControl: 5,
  directTranslated: 6,
} as const;

export const accessControlServices = {
  id: 0x000d,
  name: 'Access Control Services',
  spec: 'PCI Express Base 6.0 §7.7.11',
  size: 8,
  decode: (cap: CapView) => ({ capable: setBits(bits, cap.u16(4)), enabled: setBits(bits, cap.u16(6)) }),
} as const satisfies CapDecoder;
