import type { Bdf } from '../../pci/bdf.js';
import type { LogLine } from './line.js';
import { functionMessage } from './resource-event.js';

/** `pci 0000:00:01.0: [1b36:000c] type 01 class 0x060400 …` */
export interface KernelFunction {
  readonly kind: 'function';
  readonly address: Bdf;
  readonly vendor: number;
  readonly device: number;
  readonly class: number;
  readonly isBridge: boolean;
  readonly line: LogLine;
}

/** `PCI bridge to [bus 01-05]` */
export interface KernelBridge {
  readonly kind: 'bridge';
  readonly address: Bdf;
  readonly secondary: number;
  readonly subordinate: number;
  readonly line: LogLine;
}

const identity = /^\[([0-9a-f]{4}):([0-9a-f]{4})\] type ([0-9a-f]{2}) class (0x[0-9a-f]{6})/;
/** `bridge window [mem …] to [bus 09] add_size 200000`, while the kernel sizes windows (drivers/pci/setup-bus.c). */
const sized = /^bridge window \[[^\]]{1,60}\] to \[bus ([0-9a-f]{2})(?:-([0-9a-f]{2}))?\]/;
const bridge = /(?:PCI|CardBus) bridge(?: to|,) \[?(?:bus |secondary bus [0-9a-f]{4}:)([0-9a-f]{2})(?:-([0-9a-f]{2}))?/;

/** Which function there is, and which buses a bridge routes. */
export function kernelFact(line: LogLine): KernelFunction | KernelBridge | undefined {
  const said = functionMessage(line.text);
  if (!said) return undefined;
  const { address, message } = said;
  const id = identity.exec(message);
  if (id?.[1] && id[2] && id[3] && id[4]) {
    return {
      kind: 'function',
      address,
      vendor: parseInt(id[1], 16),
      device: parseInt(id[2], 16),
      class: Number(id[4]),
      isBridge: id[3] === '01',
      line,
    };
  }
  const to = bridge.exec(message) ?? sized.exec(message);
  if (!to?.[1]) return undefined;
  const secondary = parseInt(to[1], 16);
  return { kind: 'bridge', address, secondary, subordinate: parseInt(to[2] ?? to[1], 16), line };
}
