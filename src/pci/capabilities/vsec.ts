import { field } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

export const vendorSpecificExtended = {
  id: 0x000b,
  name: 'Vendor-Specific Extended Capability',
  spec: 'PCI Express Base 6.0 §7.9.5',
  size: 8,
  decode(cap: CapView) {
    const header = cap.u32(4);
    return { vsecId: field(header, 0, 16), revision: field(header, 16, 4), length: field(header, 20, 12) };
  },
} as const satisfies CapDecoder;

export const designatedVendorSpecific = {
  id: 0x0023,
  name: 'Designated Vendor-Specific Extended Capability',
  spec: 'PCI Express Base 6.0 §7.9.6',
  size: 12,
  decode(cap: CapView) {
    const header = cap.u32(4);
    return {
      vendor: field(header, 0, 16),
      revision: field(header, 16, 4),
      length: field(header, 20, 12),
      dvsecId: cap.u16(8),
    };
  },
} as const satisfies CapDecoder;
