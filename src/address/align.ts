/** The lowest multiple of `alignment` (a power of two, bytes) that is at or above `address`. */
export const alignUp = (address: bigint, alignment: bigint): bigint => (address + alignment - 1n) & -alignment;

/** The highest multiple of `alignment` (a power of two, bytes) that is at or below `address`. */
export const alignDown = (address: bigint, alignment: bigint): bigint => address & -alignment;

export const isAligned = (address: bigint, alignment: bigint): boolean => (address & (alignment - 1n)) === 0n;

export const isPowerOfTwo = (value: bigint): boolean => value > 0n && (value & (value - 1n)) === 0n;

export const maxOf = (a: bigint, b: bigint): bigint => (a > b ? a : b);
export const minOf = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** Ascending order for `toSorted`. */
export const ascending = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
