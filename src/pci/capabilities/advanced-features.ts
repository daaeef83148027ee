import { bit } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

export const advancedFeatures = {
  id: 0x13,
  name: 'Advanced Features',
  spec: 'PCI-SIG ECN Advanced Capabilities for Conventional PCI (2006)',
  size: 6,
  decode(cap: CapView) {
    const capabilities = cap.u8(3);
    return { transactionsPending: bit(capabilities, 0), functionLevelReset: bit(capabilities, 1) };
  },
} as const satisfies CapDecoder;
