import { field } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

export const advancedErrorReporting = {
  id: 0x0001,
  name: 'Advanced Error Reporting',
  spec: 'PCI Express Base 6.0 §7.8.4',
  size: 0x1c,
  decode: (cap: CapView) => ({
    uncorrectable: { status: cap.u32(4), mask: cap.u32(8), severity: cap.u32(0x0c) },
    correctable: { status: cap.u32(0x10), mask: cap.u32(0x14) },
    firstError: field(cap.u32(0x18), 0, 5),
  }),
} as const satisfies CapDecoder;
