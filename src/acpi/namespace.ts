import { Exit, Problem } from '../problem/problem.js';
import { HEADER_SIZE } from './table.js';
import { decodeName, formatPath, resolveName } from './names.js';

/** Something that a definition block names outside of methods. */
export interface Definition {
  readonly kind: 'device' | 'method' | 'name';
  /** Absolute: `\_SB_.PCI0._CRS`. */
  readonly path: string;
  /** Offsets in the table: of a method what follows its flags, of a name its value, of a device what it holds. */
  readonly start: number;
  readonly end: number;
}

/** A length of a package as it stands at `at`: where its content begins, and where it ends. ACPI 6.5 §20.2.4. */
function packageAt(bytes: Uint8Array, at: number, limit: number) {
  const lead = bytes[at] ?? 0;
  const extra = lead >>> 6;
  let length = extra === 0 ? lead & 0x3f : lead & 0xf;
  for (let i = 0; i < extra; i++) length += (bytes[at + 1 + i] ?? 0) * 2 ** (4 + 8 * i);
  const end = at + length;
  if (length <= extra || end > limit) throw unreadable(at, 'a package that ends outside of what it lies in');
  return { start: at + 1 + extra, end };
}

/** Opcodes outside of methods, ACPI 6.5 §20.3; 0x5b is the prefix of the second half. */
const Op = {
  ...{ alias: 0x06, name: 0x08, scope: 0x10, method: 0x14, external: 0x15, if: 0xa0, else: 0xa1, noop: 0xa3 },
  ...{ mutex: 0x5b01, event: 0x5b02, region: 0x5b80, field: 0x5b81, device: 0x5b82, processor: 0x5b83 },
  ...{ powerResource: 0x5b84, thermalZone: 0x5b85, indexField: 0x5b86, bankField: 0x5b87 },
} as const;

/** Bytes between the name of what holds terms and its terms. */
const fixedBytes: Readonly<Record<number, number>> = {
  [Op.scope]: 0,
  [Op.device]: 0,
  [Op.thermalZone]: 0,
  [Op.powerResource]: 3,
  [Op.processor]: 6,
};

/** Sizes of constants by their opcode, it included. */
const constants: Readonly<Record<number, number>> = { 0x00: 1, 0x01: 1, 0xff: 1, 0x0a: 2, 0x0b: 3, 0x0c: 5, 0x0e: 9 };

/**
 * The devices, methods and named values of a DSDT or SSDT, in order, without those that methods make. What is skipped is
 * skipped by its length, so that nothing inside of methods needs to be understood.
 * @throws Problem `aml-unreadable`, exit 3, at the first term that is not understood
 */
export function* definitions(table: Uint8Array): Generator<Definition> {
  yield* terms(table, HEADER_SIZE, table.length, []);
}

function* terms(bytes: Uint8Array, from: number, end: number, scope: readonly string[]): Generator<Definition> {
  const named = (at: number) => {
    const found = decodeName(bytes, at);
    if (!found || found.end > end) throw unreadable(at, 'no name where one belongs');
    return { path: resolveName(scope, found.name), next: found.end };
  };
  for (let at = from; at < end;) {
    const prefixed = bytes[at] === 0x5b;
    const op = prefixed ? 0x5b00 | (bytes[at + 1] ?? 0) : (bytes[at] ?? 0);
    const next = at + (prefixed ? 2 : 1);
    const fixed = fixedBytes[op];
    if (fixed !== undefined) {
      const content = packageAt(bytes, next, end);
      const { path, next: after } = named(content.start);
      const start = after + fixed;
      if (op === Op.device) yield { kind: 'device', path: formatPath(path), start, end: content.end };
      yield* terms(bytes, start, content.end, path);
      at = content.end;
      continue;
    }
    switch (op) {
      case Op.method: {
        const content = packageAt(bytes, next, end);
        const { path, next: flags } = named(content.start);
        yield { kind: 'method', path: formatPath(path), start: flags + 1, end: content.end };
        at = content.end;
        break;
      }
      case Op.name: {
        const { path, next: start } = named(next);
        at = afterData(bytes, start, end);
        yield { kind: 'name', path: formatPath(path), start, end: at };
        break;
      }
      case Op.region: {
        const offset = afterData(bytes, named(next).next + 1, end);
        at = afterData(bytes, offset, end);
        break;
      }
      case Op.field:
      case Op.indexField:
      case Op.bankField:
      case Op.if:
      case Op.else:
        at = packageAt(bytes, next, end).end;
        break;
      case Op.alias:
        at = named(named(next).next).next;
        break;
      case Op.external:
        at = named(next).next + 2;
        break;
      case Op.mutex:
        at = named(next).next + 1;
        break;
      case Op.event:
        at = named(next).next;
        break;
      case Op.noop:
        at = next;
        break;
      default:
        throw unreadable(at, `opcode 0x${op.toString(16)}`);
    }
  }
}

/** Where a value ends: a constant, string, buffer, package or name. */
function afterData(bytes: Uint8Array, at: number, end: number): number {
  const op = bytes[at] ?? 0;
  const size = constants[op];
  let after: number;
  if (size !== undefined) after = at + size;
  else if (op === 0x0d) after = bytes.indexOf(0, at) + 1;
  else if (op === 0x11 || op === 0x12 || op === 0x13) after = packageAt(bytes, at + 1, end).end;
  else {
    const found = decodeName(bytes, at);
    if (!found) throw unreadable(at, `a value with opcode 0x${op.toString(16)}`);
    after = found.end;
  }
  if (after <= at || after > end) throw unreadable(at, 'a value that ends outside of what it lies in');
  return after;
}

const unreadable = (at: number, what: string) =>
  new Problem('aml-unreadable', `the ACPI definition block has ${what} at offset 0x${at.toString(16)}`, {
    exit: Exit.outside,
    facts: { at },
  });
