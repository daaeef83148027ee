import { Problem } from '../problem/problem.js';

/**
 * A UUID as ACPI and UEFI store it: the first three groups little-endian, the rest as written (ACPI 6.5 §19.6.142, ToUUID;
 * UEFI 2.10 appendix A).
 * @throws Problem `uuid-syntax`
 */
export function uuidBytes(text: string): Uint8Array {
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) {
    throw new Problem('uuid-syntax', `"${text.slice(0, 60)}" is no UUID`, { facts: { text: text.slice(0, 200) } });
  }
  const digits = text.replaceAll('-', '').match(/../g) ?? [];
  const bytes = digits.map((pair) => parseInt(pair, 16));
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  return Uint8Array.from(order, (index) => bytes[index] ?? 0);
}
