import { field } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

/** Value in bits 9:0, scaled by 32^n nanoseconds with n in bits 12:10. */
const nanoseconds = (latency: number) => field(latency, 0, 10) * 32 ** field(latency, 10, 3);

export const latencyTolerance = {
  id: 0x0018,
  name: 'Latency Tolerance Reporting',
  spec: 'PCI Express Base 6.0 §7.8.2',
  size: 8,
  decode: (cap: CapView) => ({
    maxSnoopNanoseconds: nanoseconds(cap.u16(4)),
    maxNoSnoopNanoseconds: nanoseconds(cap.u16(6)),
  }),
} as const satisfies CapDecoder;
