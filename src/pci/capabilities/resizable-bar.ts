import { bit, field } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

const MiB = 1n << 20n;
const MAX_BARS = 6;

/** One to six pairs of a capability and a control register; the first control register says how many. */
function decode(cap: CapView) {
  const count = Math.min(field(cap.u32(8), 5, 3), MAX_BARS);
  return {
    bars: Array.from({ length: count }, (_, i) => {
      const capability = cap.u32(4 + 8 * i);
      const control = cap.u32(8 + 8 * i);
      // Bits 31:4 of the one are 1 MiB to 128 TiB, bits 31:16 of the other 256 TiB to 8 EiB.
      const supported = (n: number) => (n < 28 ? bit(capability, 4 + n) : bit(control, n - 12));
      return {
        index: field(control, 0, 3),
        /** Bytes, ascending. */
        sizes: Array.from({ length: 44 }, (_, n) => n)
          .filter(supported)
          .map((n) => MiB << BigInt(n)),
        /** Bytes, as chosen now. */
        size: MiB << BigInt(field(control, 8, 6)),
      };
    }),
  };
}

const SIZE = 4 + 8 * MAX_BARS;

export const resizableBar = {
  id: 0x0015,
  name: 'Resizable BAR',
  spec: 'PCI Express Base 6.0 §7.8.6',
  size: SIZE,
  decode,
} as const satisfies CapDecoder;

export const vfResizableBar = {
  id: 0x0024,
  name: 'VF Resizable BAR',
  spec: 'PCI Express Base 6.0 §9.3.7.5',
  size: SIZE,
  decode,
} as const satisfies CapDecoder;
