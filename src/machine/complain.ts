import { hex } from '../address/format.js';
import { ADDRESS_SPACE } from '../address/kinds.js';
import { AddressRange } from '../address/range.js';

/** Keys and indices that lead to a value of the file. */
export type Path = readonly (string | number)[];

/** Says that something at `path` of the file cannot be. */
export type Complain = (path: Path, message: string, hint?: string) => void;

/** `size` bytes from `base`, or undefined and a complaint. */
export function rangeOf(
  entry: { readonly base: bigint; readonly size: bigint },
  path: Path,
  complain: Complain,
): AddressRange | undefined {
  if (entry.size > 0n && entry.base + entry.size <= ADDRESS_SPACE) return AddressRange.sized(entry.base, entry.size);
  complain(
    path,
    entry.size === 0n
      ? `the range at ${hex(entry.base)} has size 0`
      : `${hex(entry.base)} plus ${hex(entry.size)} runs past 64 bits`,
  );
  return undefined;
}

/** The given properties without those that are undefined. */
export function defined<T extends Record<string, unknown>>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
