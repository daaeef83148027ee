import type { Width } from '../pci/config-access.js';

/** One access to an x86 I/O port. Values are unsigned. */
export type PortOp =
  | { readonly kind: 'in'; readonly port: number; readonly width: Width }
  | { readonly kind: 'out'; readonly port: number; readonly width: Width; readonly value: number };

/** A way to a stopped machine's I/O ports. */
export interface IoPorts {
  /** In order, one number per op: what came in, 0 for what went out. Throws Problem, exit 3. */
  batch(ops: readonly PortOp[]): Promise<number[]>;
}

export const inOp = (port: number, width: Width): PortOp => ({ kind: 'in', port, width });
export const outOp = (port: number, width: Width, value: number): PortOp => ({
  kind: 'out',
  port,
  width,
  value: value >>> 0,
});
