/** Where a register lies in its structure: byte offset and width in bytes. */
export interface Field {
  readonly offset: number;
  readonly width: number;
}

/**
 * A structure as an ordered list of its fields' widths (bytes), from `start` to `start + size`. Offsets are derived, so
 * one wrong width fails when the module loads instead of shifting every field after it.
 */
export function packed<const F extends readonly (readonly [string, number])[]>(
  what: string,
  start: number,
  size: number,
  fields: F,
): Readonly<Record<F[number][0], Field>> {
  let offset = start;
  const at: Record<string, Field> = {};
  for (const [name, width] of fields) {
    if (at[name]) throw new Error(`${what}: ${name} is listed twice`);
    at[name] = { offset, width };
    offset += width;
  }
  if (offset !== start + size) {
    throw new Error(`${what}: the fields fill ${offset - start} bytes, the structure has ${size}`);
  }
  return at as Readonly<Record<F[number][0], Field>>;
}

/** The names of the bits that are set in `value`, lowest first. */
export function setBits<N extends string>(bits: Readonly<Record<N, number>>, value: number): N[] {
  return (Object.keys(bits) as N[]).filter((name) => (value >>> bits[name]) & 1).sort((a, b) => bits[a] - bits[b]);
}

/** A field of `count` bits from bit `low`. */
export const field = (value: number, low: number, count: number): number => (value >>> low) & (2 ** count - 1);

export const bit = (value: number, index: number): boolean => ((value >>> index) & 1) === 1;

/** A name for an encoding, or the raw value where the specification reserves it. */
export const named = <const N extends Readonly<Record<number, string>>>(
  names: N,
  raw: number,
): N[keyof N] | { readonly reserved: number } => (raw in names ? names[raw as keyof N] : { reserved: raw });
