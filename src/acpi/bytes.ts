/** Numbers are single bytes. */
export type Part = number | Uint8Array;

/** Bytes and runs of bytes, one after another. */
export function concat(...parts: readonly Part[]): Uint8Array {
  const size = parts.reduce<number>((sum, part) => sum + (typeof part === 'number' ? 1 : part.length), 0);
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    if (typeof part === 'number') out[at++] = part;
    else {
      out.set(part, at);
      at += part.length;
    }
  }
  return out;
}

/** `value` in `width` bytes, little-endian, as everything in ACPI is. */
export function little(value: bigint, width: number): Uint8Array {
  return Uint8Array.from({ length: width }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

/** The `width` bytes at `at` as a number, little-endian; bytes past the end count as 0. */
export function readLittle(bytes: Uint8Array, at: number, width: number): bigint {
  let value = 0n;
  for (let i = width - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i] ?? 0);
  return value;
}

export const ascii = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
export const fromAscii = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0) & 0x7f);
