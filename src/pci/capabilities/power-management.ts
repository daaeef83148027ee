import { bit, field } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

const states = ['D0', 'D1', 'D2', 'D3hot'] as const;
const pmeStates = ['D0', 'D1', 'D2', 'D3hot', 'D3cold'] as const;

export const powerManagement = {
  id: 0x01,
  name: 'Power Management',
  spec: 'PCI Express Base 6.0 §7.5.2',
  size: 8,
  decode(cap: CapView) {
    const capabilities = cap.u16(2);
    const control = cap.u16(4);
    return {
      version: field(capabilities, 0, 3),
      d1: bit(capabilities, 9),
      d2: bit(capabilities, 10),
      pme: pmeStates.filter((_, i) => bit(capabilities, 11 + i)),
      state: states[field(control, 0, 2)] ?? 'D0',
      noSoftReset: bit(control, 3),
      pmeEnabled: bit(control, 8),
    };
  },
} as const satisfies CapDecoder;
