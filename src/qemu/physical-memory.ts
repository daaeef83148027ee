import type { CpuAddress } from '../address/kinds.js';
import type { Width } from '../pci/config-access.js';

/** One access to guest physical memory, MMIO included. Values are unsigned, in the guest's little-endian order. */
export type MemoryOp =
  | { readonly kind: 'read'; readonly address: CpuAddress; readonly width: Width }
  | { readonly kind: 'write'; readonly address: CpuAddress; readonly width: Width; readonly value: number };

/** A way into a stopped machine's physical address space, as its CPU would see it. */
export interface PhysicalMemory {
  readonly source: 'qtest' | 'gdbstub';
  /** In order, one number per op: what a read saw, 0 for a write. Throws Problem, exit 3. */
  batch(ops: readonly MemoryOp[]): Promise<number[]>;
  readBytes(address: CpuAddress, size: number): Promise<Uint8Array>;
  writeBytes(address: CpuAddress, bytes: Uint8Array): Promise<void>;
}
