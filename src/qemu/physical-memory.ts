import type { CpuAddress } from '../address/kinds.js';
import type { AddressedMemory, MemoryOp } from '../pci/ecam.js';
import type { IoPorts } from './io-ports.js';

/** A way into a stopped machine's physical address space, as its CPU would see it. */
export interface PhysicalMemory extends AddressedMemory {
  readonly source: 'qtest' | 'gdbstub';
  /** In order, one number per op: what a read saw, 0 for a write. Throws Problem, exit 3. */
  batch(ops: readonly MemoryOp[]): Promise<number[]>;
  readBytes(address: CpuAddress, size: number): Promise<Uint8Array>;
  writeBytes(address: CpuAddress, bytes: Uint8Array): Promise<void>;
  /** I/O ports, where the transport reaches them, too. */
  readonly ports?: IoPorts;
}

/** A connection to QEMU that carries accesses to its memory. */
export interface Transport extends PhysicalMemory {
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  /** Asks the far end whether it is what it should be. Throws Problem `…-lost`, `…-answer`, exit 3. */
  negotiate(): Promise<void>;
  /** To be awaited before the guest runs: leaves nothing behind that it, or whoever debugs it, could notice. */
  handOver(): Promise<void>;
  close(): void;
}

/** Dwords that follow each other, read as one block; any other access by itself. */
export interface Access {
  readonly op: MemoryOp;
  /** Dwords from `op.address` on; 1 for anything but a block. */
  readonly count: number;
}

/** Below it a command each is as fast as a block. */
const BLOCK = 4;

/**
 * The accesses that carry out `ops`. QEMU takes a block of config space apart again: its memory dispatch reads it dword by
 * dword, in order, because config space takes 4 bytes at most (softmmu/physmem.c, memory_access_size).
 * @param most dwords in a block
 */
export function* accessesOf(ops: readonly MemoryOp[], most = Infinity): Generator<Access> {
  for (let i = 0; i < ops.length;) {
    const op = ops[i] as MemoryOp;
    let count = 1;
    const follows = (next: MemoryOp | undefined) =>
      op.kind === 'read' &&
      next?.kind === 'read' &&
      next.width === 4 &&
      next.address === op.address + BigInt(4 * count);
    if (op.kind === 'read' && op.width === 4) while (count < most && follows(ops[i + count])) count++;
    if (count < BLOCK) count = 1;
    yield { op, count };
    i += count;
  }
}
