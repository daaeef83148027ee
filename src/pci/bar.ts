import { ADDRESS_SPACE, type BusAddress, type Size } from '../address/kinds.js';

/**
 * BAR registers. PCI Express Base 6.0 §7.5.1.2.1: bit 0 set is I/O; else bits 2:1 give the width (00: 32 bits, 10: 64 bits,
 * 01: once "below 1 MiB", now reserved) and bit 3 says prefetchable. The other bits are the address; those below the size
 * are read-only zeros.
 */
export type BarKind = 'io' | 'mem32' | 'mem64';

export interface BarType {
  readonly type: BarKind;
  readonly prefetchable: boolean;
}

/** A BAR as its registers tell. */
export interface DecodedBar extends BarType {
  readonly index: number;
  /** Bytes; null where the register could not be written to learn it. */
  readonly size: Size | null;
  readonly address: BusAddress;
}

/** What is wrong with a BAR register. The BAR is left out, but for `bar-too-small`, `bar-mask-holes` and `bar-below-1m`. */
export interface BarIssue {
  readonly code:
    | 'bar-type-reserved'
    | 'bar-type-changed'
    | 'bar-too-small'
    | 'bar-below-1m'
    | 'bar-no-upper-half'
    | 'bar-mask-holes'
    | 'bar-size-absurd';
  readonly index: number;
  /** What the register held, and what it read after all ones were written. */
  readonly before: number;
  readonly ones: number | null;
}

const IO_MASK = 0xffff_fffc;
const MEMORY_MASK = 0xffff_fff0;
/** Expansion ROM: address in bits 31:11, enable in bit 0. PCI Express Base 6.0 §7.5.1.2.4. */
export const ROM_MASK = 0xffff_f800;
export const ROM_ENABLE = 1;

/** The read-only low bits of a BAR of this type. */
export const barTypeBits = ({ type, prefetchable }: BarType): number =>
  type === 'io' ? 0b01 : (type === 'mem64' ? 0b0100 : 0) | (prefetchable ? 0b1000 : 0);

/** The register values of a BAR at `address`: one, or two for `mem64`, type bits included. */
export function encodeBar(type: BarType, address: BusAddress): [number] | [number, number] {
  const low = (Number(address & 0xffff_ffffn) | barTypeBits(type)) >>> 0;
  return type.type === 'mem64' ? [low, Number(address >> 32n)] : [low];
}

/** The writable bits of the registers of a BAR of `size` bytes: what all ones read back as, but for the type bits. */
export function barWritableBits(type: BarType, size: Size): [number] | [number, number] {
  const mask = -size & (ADDRESS_SPACE - 1n);
  const low = Number(mask & 0xffff_ffffn) & (type.type === 'io' ? IO_MASK : MEMORY_MASK);
  return type.type === 'mem64' ? [low >>> 0, Number(mask >> 32n)] : [low >>> 0];
}

function typeOf(register: number): BarType | 'below-1m' | 'reserved' {
  if (register & 1) return { type: 'io', prefetchable: false };
  const prefetchable = (register & 0b1000) !== 0;
  const width = (register >>> 1) & 0b11;
  if (width === 0b00) return { type: 'mem32', prefetchable };
  if (width === 0b10) return { type: 'mem64', prefetchable };
  return width === 0b01 ? 'below-1m' : 'reserved';
}

/** Bytes that a sizing mask stands for: its lowest set bit. 0n: no address bit can be written. */
export const sizeFromMask = (mask: bigint): Size => mask & -mask;

/**
 * The BARs of one function.
 * @param before what each BAR register holds
 * @param ones what each reads after all ones were written to it; null where nothing was written: then sizes are null, and a
 *   register that holds 0 cannot be told from one that does not exist and is left out.
 */
export function decodeBars(before: readonly number[], ones: readonly number[] | null) {
  const bars: DecodedBar[] = [];
  const issues: BarIssue[] = [];
  for (let index = 0; index < before.length; index++) {
    const was = before[index] ?? 0;
    const mask = ones ? (ones[index] ?? 0) : null;
    const issue = (code: BarIssue['code']) => issues.push({ code, index, before: was, ones: mask });
    if (mask === 0 || (mask === null && was === 0)) continue;
    const changed = mask === null ? 0 : was ^ mask;
    if (changed & 1) {
      issue('bar-type-changed');
      continue;
    }
    // Bits 1 of an I/O BAR and 3:1 of a memory BAR cannot be written, unless it asks for less than they can tell, as QEMU's
    // pvpanic-pci does with 2 bytes. Linux (drivers/pci/probe.c, __pci_read_base) goes by what it held before.
    if ((changed & (was & 1 ? 0b10 : 0b1110)) !== 0) issue('bar-too-small');
    let type = typeOf(was);
    if (type === 'reserved') {
      issue('bar-type-reserved');
      continue;
    }
    if (type === 'below-1m') {
      issue('bar-below-1m');
      type = { type: 'mem32', prefetchable: (was & 0b1000) !== 0 };
    }
    const wide = type.type === 'mem64';
    if (wide && index + 1 >= before.length) {
      issue('bar-no-upper-half');
      continue;
    }
    const addressMask = type.type === 'io' ? IO_MASK : MEMORY_MASK;
    const low = BigInt((was & addressMask) >>> 0);
    const address = wide ? (BigInt(before[index + 1] ?? 0) << 32n) | low : low;
    let size: Size | null = null;
    if (mask !== null) {
      const lowMask = BigInt((mask & addressMask) >>> 0);
      const full = wide ? (BigInt(ones?.[index + 1] ?? 0) << 32n) | lowMask : lowMask;
      size = sizeFromMask(full);
      if (size === 0n) {
        issue('bar-size-absurd');
        if (wide) index++;
        continue;
      }
      // The upper half of an I/O BAR may be hardwired to zero: PCI Local Bus 3.0 §6.2.5.1.
      const top = wide ? ADDRESS_SPACE : type.type === 'io' && full < 0x1_0000n ? 0x1_0000n : 1n << 32n;
      if (full + size !== top) issue('bar-mask-holes');
    }
    bars.push({ index, ...type, size, address });
    if (wide) index++;
  }
  return { bars, issues };
}

/** The expansion ROM as its register tells, or null where there is none; `ones` as in {@link decodeBars}. */
export function decodeRom(before: number, ones: number | null) {
  const address = BigInt((before & ROM_MASK) >>> 0);
  const enabled = (before & ROM_ENABLE) !== 0;
  if (ones === null) return before === 0 ? null : { size: null, address, enabled };
  const mask = (ones & ROM_MASK) >>> 0;
  return mask === 0 ? null : { size: sizeFromMask(BigInt(mask)), address, enabled };
}
