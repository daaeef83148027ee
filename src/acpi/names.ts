import { ascii, concat, fromAscii } from './bytes.js';
import { Problem } from '../problem/problem.js';

const ROOT = 0x5c;
const PARENT = 0x5e;
const DUAL = 0x2e;
const MULTI = 0x2f;

/** A name as AML has it: from the root or from a scope that many levels up, then segments of four characters. */
export interface AmlName {
  readonly root: boolean;
  readonly up: number;
  readonly segments: readonly string[];
}

/**
 * Encodes `\_SB.PCI0` and the like; segments are filled up with `_`. ACPI 6.5 §20.2.2.
 * @throws Problem `aml-name`
 */
export function encodeName(text: string): Uint8Array {
  const match = /^(\\|\^*)((?:[A-Z_][A-Z0-9_]{0,3}(?:\.[A-Z_][A-Z0-9_]{0,3})*)?)$/.exec(text);
  if (!match || text === '') {
    throw new Problem('aml-name', `"${text.slice(0, 60)}" is no ACPI name`, { facts: { text: text.slice(0, 200) } });
  }
  const [, prefix = '', path = ''] = match;
  const segments = path === '' ? [] : path.split('.');
  const count =
    segments.length === 0
      ? [0]
      : segments.length === 1
        ? []
        : segments.length === 2
          ? [DUAL]
          : [MULTI, segments.length];
  return concat(fromAscii(prefix), ...count, ...segments.map((segment) => fromAscii(segment.padEnd(4, '_'))));
}

/** The name at `at` and where it ends, or null where none begins. */
export function decodeName(bytes: Uint8Array, at: number): { readonly name: AmlName; readonly end: number } | null {
  let next = at;
  const root = bytes[next] === ROOT;
  if (root) next++;
  let up = 0;
  for (; !root && bytes[next] === PARENT; next++) up++;
  let count = 1;
  const lead = bytes[next];
  if (lead === 0) return root || up > 0 ? { name: { root, up, segments: [] }, end: next + 1 } : null;
  if (lead === DUAL) [count, next] = [2, next + 1];
  else if (lead === MULTI) [count, next] = [bytes[next + 1] ?? 0, next + 2];
  const segments: string[] = [];
  for (; segments.length < count; next += 4) {
    const segment = ascii(bytes.subarray(next, next + 4));
    if (!/^[A-Z_][A-Z0-9_]{3}$/.test(segment)) return null;
    segments.push(segment);
  }
  return count > 0 ? { name: { root, up, segments }, end: next } : null;
}

/** The absolute path of a name that stands in `scope`: `\_SB_.PCI0._CRS`. */
export function resolveName(scope: readonly string[], { root, up, segments }: AmlName): string[] {
  if (root) return [...segments];
  return [...scope.slice(0, Math.max(0, scope.length - up)), ...segments];
}

/** `\_SB_.PCI0` of its segments. */
export const formatPath = (segments: readonly string[]): string => `\\${segments.join('.')}`;
