import { Problem } from '../problem/problem.js';
import { ADDRESS_SPACE } from './kinds.js';

/** Lower-case hexadecimal with `0x`, as all output writes addresses and sizes. */
export function hex(value: bigint | number, digits = 0): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16).padStart(digits, '0')}`;
}

const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;

/** A size for people, exact: `512 MiB`, `1.5 GiB` never (that is `1536 MiB`), `0x1010000` where no unit divides it. */
export function formatSize(size: bigint): string {
  if (size <= 0n) return size === 0n ? '0 bytes' : hex(size);
  let unit = 0;
  let value = size;
  while (unit < units.length - 1 && value % 1024n === 0n) {
    value /= 1024n;
    unit++;
  }
  if (unit === 0 && value >= 1024n) return hex(size);
  return `${value} ${unit === 0 && value === 1n ? 'byte' : units[unit]}`;
}

/** A size for people where the range beside it is exact: `1.5 TiB`, `~769 MiB` (the `~` says that it is rounded). */
export function roughSize(size: bigint): string {
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor((size.toString(2).length - 1) / 10)));
  const scale = 1n << BigInt(unit * 10);
  if (unit === 0 || size % scale === 0n) return formatSize(size);
  // Hundredths, rounded; at most 1024 of the next unit, so Number is exact.
  const hundredths = Number((size * 100n + scale / 2n) / scale);
  const exact = (size * 100n) % scale === 0n;
  return `${exact ? '' : '~'}${hundredths >= 10_000 ? Math.round(hundredths / 100) : hundredths / 100} ${units[unit]}`;
}

/** A power of two with QEMU's suffix, `64G`; anything else in hexadecimal. Both are exact. */
export function formatQemuSize(size: bigint): string {
  for (const [shift, suffix] of [
    [60n, 'E'],
    [50n, 'P'],
    [40n, 'T'],
    [30n, 'G'],
    [20n, 'M'],
    [10n, 'K'],
  ] as const) {
    if (size > 0n && size % (1n << shift) === 0n) return `${size >> shift}${suffix}`;
  }
  return hex(size);
}

const plain = /^(?:0x[0-9a-f]+|[0-9]+)$/i;
const withUnit = /^(0x[0-9a-f]+|[0-9]+)\s*(?:([kmgtpe])(?:ib|b)?|b)$/i;
const shifts: Readonly<Record<string, bigint>> = { k: 10n, m: 20n, g: 30n, t: 40n, p: 50n, e: 60n };

function checked(value: bigint, text: string, what: string): bigint {
  if (value < 0n || value >= ADDRESS_SPACE) {
    throw new Problem(
      `${what}-range`,
      `${text} is not ${what === 'size' ? 'a size' : 'an address'} of at most 64 bits`,
      {
        facts: { text },
      },
    );
  }
  return value;
}

function fromNumber(value: number, what: string): bigint {
  if (!Number.isInteger(value)) {
    throw new Problem(`${what}-inexact`, `${value} is not a whole number of bytes`, { facts: { value } });
  }
  if (!Number.isSafeInteger(value)) {
    throw new Problem(`${what}-inexact`, `${value} cannot be taken exactly as a number: it is above 2^53`, {
      hint: 'write it as a string, such as "0x6b8000000000"',
      facts: { value },
    });
  }
  return checked(BigInt(value), String(value), what);
}

/**
 * A size in bytes from what people type: `4096`, `0x1000`, `4KiB`, `64G` (QEMU's), always powers of 1024; or a number.
 * @throws Problem `size-syntax`, `size-range`, `size-inexact`
 */
export function parseSize(value: string | number | bigint): bigint {
  if (typeof value === 'bigint') return checked(value, String(value), 'size');
  if (typeof value === 'number') return fromNumber(value, 'size');
  const text = value.trim();
  if (text.length <= 40) {
    if (plain.test(text)) return checked(BigInt(text), text, 'size');
    const match = withUnit.exec(text);
    // `0x1b` ends in a hexadecimal digit, not in a unit: it was taken by `plain` above.
    if (match?.[1]) return checked(BigInt(match[1]) << (shifts[match[2]?.toLowerCase() ?? ''] ?? 0n), text, 'size');
  }
  throw new Problem('size-syntax', `"${text.slice(0, 60)}" is not a size`, {
    hint: 'write 4KiB, 16MiB, 64GiB, 64G, 4096 or 0x1000',
    facts: { text: text.slice(0, 200) },
  });
}

/**
 * An address from what people type: `0x6b8000000000` or decimal, as text or as a number.
 * @throws Problem `address-syntax`, `address-range`, `address-inexact`
 */
export function parseAddress(value: string | number | bigint): bigint {
  if (typeof value === 'bigint') return checked(value, String(value), 'address');
  if (typeof value === 'number') return fromNumber(value, 'address');
  const text = value.trim();
  if (text.length <= 40 && plain.test(text)) return checked(BigInt(text), text, 'address');
  throw new Problem('address-syntax', `"${text.slice(0, 60)}" is not an address`, {
    hint: 'write it in hexadecimal, such as 0x6b8000000000',
    facts: { text: text.slice(0, 200) },
  });
}
