/**
 * Numbers that look alike and must not be mixed. All are bytes, all are bigint: nothing above 2^53 loses a bit.
 * A bus address is what a BAR or bridge window register holds; a CPU address is what the guest's CPU issues (the guest
 * physical address). A host bridge window translates one into the other.
 */
export type BusAddress = bigint & { readonly __brand?: 'bus address' };
export type CpuAddress = bigint & { readonly __brand?: 'CPU address' };
/** A number of bytes. */
export type Size = bigint;

export const KiB = 1n << 10n;
export const MiB = 1n << 20n;
export const GiB = 1n << 30n;
export const TiB = 1n << 40n;
/** The first address that a 32-bit BAR or window cannot hold. */
export const FOUR_GIB = 1n << 32n;
/** One past the last 64-bit address. */
export const ADDRESS_SPACE = 1n << 64n;
