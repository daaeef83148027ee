import { bit, field } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

const triggers = ['disabled', 'fatal', 'non-fatal'] as const;

export const downstreamPortContainment = {
  id: 0x001d,
  name: 'Downstream Port Containment',
  spec: 'PCI Express Base 6.0 §7.9.14',
  size: 12,
  decode: (cap: CapView) => ({
    rootPortExtensions: bit(cap.u16(4), 5),
    trigger: triggers[field(cap.u16(6), 0, 2)] ?? { reserved: field(cap.u16(6), 0, 2) },
    triggered: bit(cap.u16(8), 0),
  }),
} as const satisfies CapDecoder;
