import type { CapDecoder, CapView } from './view.js';

/** The standard hot-plug controller of a conventional bridge; its registers lie in the bridge's BAR 0. */
export const standardHotplug = {
  id: 0x0c,
  name: 'Standard Hot-Plug Controller',
  spec: 'PCI Standard Hot-Plug Controller 1.0 §4.2',
  size: 8,
  decode: (cap: CapView) => ({ dwordSelect: cap.u8(2), data: cap.u32(4) }),
} as const satisfies CapDecoder;
