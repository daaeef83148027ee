import { formatSize, hex } from '../../address/format.js';
import type { CpuAddress } from '../../address/kinds.js';

/** Bytes of one load or store to device memory. */
export type MemoryWidth = 1 | 2 | 4 | 8;

/** One load or store of the CPU. Values are unsigned, little-endian. */
export type MemoryAccess =
  | { readonly kind: 'read'; readonly address: CpuAddress; readonly width: MemoryWidth }
  | { readonly kind: 'write'; readonly address: CpuAddress; readonly width: MemoryWidth; readonly value: bigint };

/** What an access met: an answer (`value` is 0 for a write) and whose it is, or the abort that the CPU takes. */
export type MemoryResult =
  | { readonly status: 'done'; readonly value: bigint; readonly by: string }
  | { readonly status: 'abort'; readonly abort: DataAbort };

/** A synchronous Data Abort, as a kernel at EL1 takes it. Arm Architecture Reference Manual, ESR_EL1 and FAR_EL1. */
export interface DataAbort {
  /** `external`: nothing answers at the address. `alignment`: device memory takes naturally aligned accesses alone. */
  readonly cause: 'external' | 'alignment';
  readonly access: MemoryAccess;
  /** ESR_EL1. */
  readonly syndrome: number;
}

/** EC 0x25, a Data Abort from the current exception level; IL, a 32-bit instruction. */
const DATA_ABORT = 0x9600_0000;
/** DFSC: synchronous External abort, not on a translation table walk. */
const EXTERNAL = 0b01_0000;
const ALIGNMENT = 0b10_0001;
/** WnR: the access was a write. */
const WRITE = 1 << 6;

/** Who reports an abort: the CPU of a real machine or of QEMU, or Xen, which injects one without a status code. */
export type AbortStyle = 'arm' | 'xen';

export function dataAbort(cause: DataAbort['cause'], access: MemoryAccess, style: AbortStyle): DataAbort {
  const write = access.kind === 'write' ? WRITE : 0;
  const code = cause === 'alignment' ? ALIGNMENT : EXTERNAL;
  // xen/arch/arm/traps.c, inject_abt64_exception: ISS is 0. An alignment fault is the guest's own and never reaches Xen.
  const status = style === 'xen' && cause === 'external' ? 0 : code | write;
  return { cause, access, syndrome: (DATA_ABORT | status) >>> 0 };
}

/** A sentence for people. */
export function abortText({ cause, access, syndrome }: DataAbort): string {
  const { kind, address, width } = access;
  const what = `the ${kind} of ${formatSize(BigInt(width))} at ${hex(address)}`;
  const why = cause === 'alignment' ? 'it is not aligned' : 'nothing answers there';
  return `${what} ends in a data abort (ESR ${hex(syndrome, 8)}): ${why}`;
}

/** All bits of a value that many bytes wide. */
export const onesOf = (width: MemoryWidth): bigint => (1n << BigInt(8 * width)) - 1n;
