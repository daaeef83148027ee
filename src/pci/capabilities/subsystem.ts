import type { CapDecoder, CapView } from './view.js';

export const bridgeSubsystem = {
  id: 0x0d,
  name: 'Bridge Subsystem Vendor ID',
  spec: 'PCI-to-PCI Bridge Architecture 1.2 §3.2.6.3',
  size: 8,
  decode: (cap: CapView) => ({ vendor: cap.u16(4), device: cap.u16(6) }),
} as const satisfies CapDecoder;
