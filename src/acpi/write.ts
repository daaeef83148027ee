import { concat, fromAscii, little, type Part } from './bytes.js';
import { encodeName } from './names.js';
import { uuidBytes } from './uuid.js';

/** A piece of AML, ACPI 6.5 §20.2. Each function below is one term of the language and named as ASL has it. */
export type Aml = Uint8Array;

/** The length of a package, its own bytes included, and the package's content. ACPI 6.5 §20.2.4. */
function sized(...parts: readonly Part[]): Uint8Array {
  const content = concat(...parts);
  if (content.length + 1 < 0x40) return concat(content.length + 1, content);
  let extra = 1;
  while (content.length + 1 + extra >= 1 << (4 + 8 * extra)) extra++;
  const length = content.length + 1 + extra;
  return concat((extra << 6) | (length & 0xf), little(BigInt(length >>> 4), extra), content);
}

export function integer(value: bigint): Aml {
  if (value === 0n || value === 1n) return Uint8Array.of(Number(value));
  if (value < 0x100n) return concat(0x0a, little(value, 1));
  if (value < 0x1_0000n) return concat(0x0b, little(value, 2));
  return value < 0x1_0000_0000n ? concat(0x0c, little(value, 4)) : concat(0x0e, little(value, 8));
}

export const string = (text: string): Aml => concat(0x0d, fromAscii(text), 0);
export const buffer = (bytes: Uint8Array): Aml => concat(0x11, sized(integer(BigInt(bytes.length)), bytes));
/** The buffer that ToUUID stands for. */
export const uuid = (text: string): Aml => buffer(uuidBytes(text));

export const scope = (name: string, ...terms: readonly Aml[]): Aml => concat(0x10, sized(encodeName(name), ...terms));
export const device = (name: string, ...terms: readonly Aml[]): Aml =>
  concat(0x5b, 0x82, sized(encodeName(name), ...terms));
export const name = (path: string, value: Aml): Aml => concat(0x08, encodeName(path), value);
/** `args`: how many arguments it takes, 0 to 7. */
export const method = (path: string, args: number, ...terms: readonly Aml[]): Aml =>
  concat(0x14, sized(encodeName(path), args, ...terms));

/** The nth argument of the method, from 0. */
export const arg = (n: number): Aml => Uint8Array.of(0x68 + n);
export const equal = (a: Aml, b: Aml): Aml => concat(0x93, a, b);
export const ifThen = (predicate: Aml, ...terms: readonly Aml[]): Aml => concat(0xa0, sized(predicate, ...terms));
export const returns = (value: Aml): Aml => concat(0xa4, value);

/** A term that does nothing. */
export const NOOP = 0xa3;
