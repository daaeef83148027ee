import { AddressRange } from '../address/range.js';

/**
 * Bridge windows. PCI-to-PCI Bridge Architecture 1.2 §3.2.5; PCI Express Base 6.0 §7.5.1.3. Base and limit are inclusive;
 * a window whose base is above its limit is closed. The low four bits of the I/O and prefetchable registers are read-only
 * and give the width. I/O windows start and end on 4 KiB, memory windows of both kinds on 1 MiB.
 */
// Not modelled: bridges with 1 KiB I/O windows (a vendor's extension that Linux knows as en1k).

const open = (base: bigint, limit: bigint): AddressRange | null => (base > limit ? null : AddressRange.of(base, limit));

/** Address bits that the I/O window decodes, from the type bits of a base register that is known to exist. */
export const ioWidth = (base: number): 16 | 32 => ((base & 0xf) === 1 ? 32 : 16);
export const prefetchableWidth = (base: number): 32 | 64 => ((base & 0xf) === 1 ? 64 : 32);

/**
 * The I/O window.
 * @param baseLimit registers 0x1c (base, bits 7:0) and 0x1d (limit, bits 15:8)
 * @param upper registers 0x30 (base, bits 15:0) and 0x32 (limit, bits 31:16); ignored where only 16 bits are decoded
 */
export function decodeIoWindow(baseLimit: number, upper: number): AddressRange | null {
  const wide = ioWidth(baseLimit) === 32;
  const base = ((baseLimit & 0xf0) << 8) + (wide ? (upper & 0xffff) * 0x1_0000 : 0);
  const limit = (baseLimit & 0xf000) + 0xfff + (wide ? (upper >>> 16) * 0x1_0000 : 0);
  return open(BigInt(base), BigInt(limit));
}

/** Register values for an I/O window; `upper` means something only where the window decodes 32 bits. Null closes it. */
export function encodeIoWindow(window: AddressRange | null): { readonly baseLimit: number; readonly upper: number } {
  if (!window) return { baseLimit: 0x00f0, upper: 0 };
  const base = Number(window.base);
  const limit = Number(window.limit);
  return {
    baseLimit: ((base >>> 8) & 0xf0) | (limit & 0xf000),
    upper: (((limit >>> 16) << 16) | (base >>> 16)) >>> 0,
  };
}

/** The memory window: register 0x20 as 32 bits (base in 15:0, limit in 31:16). */
export function decodeMemoryWindow(baseLimit: number): AddressRange | null {
  return open(BigInt(baseLimit & 0xfff0) << 16n, (BigInt((baseLimit >>> 16) & 0xfff0) << 16n) | 0xf_ffffn);
}

/** Register 0x20 as 32 bits. Null closes the window. */
export function encodeMemoryWindow(window: AddressRange | null): number {
  if (!window) return 0x0000_fff0;
  return Number(((window.limit >> 16n) & 0xfff0n) * 0x1_0000n + ((window.base >> 16n) & 0xfff0n));
}

/** The prefetchable window: registers 0x24 as 32 bits, 0x28 and 0x2c; the upper halves count only where it decodes 64 bits. */
export function decodePrefetchableWindow(baseLimit: number, baseUpper: number, limitUpper: number) {
  const low = BigInt(baseLimit & 0xfff0) << 16n;
  const high = (BigInt((baseLimit >>> 16) & 0xfff0) << 16n) | 0xf_ffffn;
  return prefetchableWidth(baseLimit) === 64
    ? open((BigInt(baseUpper) << 32n) | low, (BigInt(limitUpper) << 32n) | high)
    : open(low, high);
}

/** Register values for a prefetchable window. Null closes it. */
export function encodePrefetchableWindow(window: AddressRange | null) {
  return {
    baseLimit: encodeMemoryWindow(window),
    baseUpper: window ? Number(window.base >> 32n) : 0,
    limitUpper: window ? Number(window.limit >> 32n) : 0,
  };
}
