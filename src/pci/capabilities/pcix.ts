import type { CapDecoder, CapView } from './view.js';

/** Kept as registers: nothing depends on what PCI-X negotiated. In a bridge `control` is the secondary status. */
export const pcix = {
  id: 0x07,
  name: 'PCI-X',
  spec: 'PCI-X Protocol Addendum 2.0a §7.2',
  size: 8,
  decode: (cap: CapView) => ({ bridge: cap.headerType === 1, control: cap.u16(2), status: cap.u32(4) }),
} as const satisfies CapDecoder;
