import { hex } from './format.js';
import { ADDRESS_SPACE } from './kinds.js';

/**
 * Addresses from `base` to `limit`, both included (as bridge window registers have it), so that the last byte of the
 * 64-bit space can be said. Never empty: where nothing is meant, the type is `AddressRange | null`.
 */
export class AddressRange {
  private constructor(
    readonly base: bigint,
    readonly limit: bigint,
  ) {
    Object.freeze(this);
  }

  /** From `base` to `limit`, both included. Throws RangeError unless 0 <= base <= limit < 2^64. */
  static of(base: bigint, limit: bigint): AddressRange {
    if (base < 0n || limit < base || limit >= ADDRESS_SPACE) {
      throw new RangeError(`${hex(base)}..${hex(limit)} is not a range of 64-bit addresses`);
    }
    return new AddressRange(base, limit);
  }

  /** `size` bytes from `base`. Throws RangeError where that is empty or runs past 64 bits. */
  static sized(base: bigint, size: bigint): AddressRange {
    return AddressRange.of(base, base + size - 1n);
  }

  get size(): bigint {
    return this.limit - this.base + 1n;
  }

  contains(address: bigint): boolean {
    return this.base <= address && address <= this.limit;
  }

  covers(other: AddressRange): boolean {
    return this.base <= other.base && other.limit <= this.limit;
  }

  overlaps(other: AddressRange): boolean {
    return this.base <= other.limit && other.base <= this.limit;
  }

  /** What both have in common, or null. */
  meet(other: AddressRange): AddressRange | null {
    const base = this.base > other.base ? this.base : other.base;
    const limit = this.limit < other.limit ? this.limit : other.limit;
    return base > limit ? null : new AddressRange(base, limit);
  }

  /** The smallest range that covers both. */
  hull(other: AddressRange): AddressRange {
    return new AddressRange(
      this.base < other.base ? this.base : other.base,
      this.limit > other.limit ? this.limit : other.limit,
    );
  }

  equals(other: AddressRange): boolean {
    return this.base === other.base && this.limit === other.limit;
  }

  /** `0x10000000-0x3efeffff`, as the kernel writes ranges. */
  toString(): string {
    return `${hex(this.base)}-${hex(this.limit)}`;
  }
}
