import type { CapDecoder, CapView } from './view.js';

export const deviceSerialNumber = {
  id: 0x0003,
  name: 'Device Serial Number',
  spec: 'PCI Express Base 6.0 §7.9.3',
  size: 12,
  decode: (cap: CapView) => ({ serial: (BigInt(cap.u32(8)) << 32n) | BigInt(cap.u32(4)) }),
} as const satisfies CapDecoder;
