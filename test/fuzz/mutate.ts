import type { Random } from '../check/random.js';

/** Inputs are kept below this: parsers have limits of their own for what is larger. */
const MOST_BYTES = 1 << 17;

const numbers = [
  '0',
  '-1',
  '1',
  '255',
  '256',
  '65535',
  '4294967295',
  '18446744073709551615',
  '0xffffffffffffffff',
  '1e99',
];
const pieces = [
  ...[
    '\0',
    '\n',
    '\r\n',
    '\x1b[0m',
    '\t',
    ' ',
    ',',
    ',,',
    '"',
    "'",
    '\\',
    '{',
    '}',
    '[',
    ']',
    '<',
    '>',
    '&',
    ':',
    '.',
    '..',
  ],
  ...[
    '%',
    '%s',
    '${',
    '__proto__',
    'constructor',
    'é',
    '𝄞',
    '\ud800',
    'null',
    'true',
    '-',
    '--',
    '=',
    '@',
    '#',
    '*',
    '&a',
    '!!js',
  ],
];

/** A changed copy: one to six changes, each to a few bytes, a number, a line, or a part that comes from another input. */
export function mutate(seed: Uint8Array, others: readonly Uint8Array[], random: Random): Uint8Array {
  let bytes = Buffer.from(seed);
  for (let left = random.int(1, 6); left > 0; left--) bytes = change(bytes, others, random);
  return bytes.subarray(0, MOST_BYTES);
}

function change(bytes: Buffer<ArrayBuffer>, others: readonly Uint8Array[], random: Random): Buffer<ArrayBuffer> {
  const at = random.int(0, bytes.length);
  const end = Math.min(bytes.length, at + random.int(0, random.chance(0.1) ? 4096 : 16));
  switch (random.int(0, 9)) {
    case 0: {
      const copy = Buffer.from(bytes);
      if (at < copy.length) copy[at] = random.int(0, 255);
      return copy;
    }
    case 1: {
      const copy = Buffer.from(bytes);
      if (at < copy.length) copy[at] = copy[at]! ^ (1 << random.int(0, 7));
      return copy;
    }
    case 2:
      return joined(bytes.subarray(0, at), bytes.subarray(end));
    case 3:
      return joined(bytes.subarray(0, at), Buffer.from(random.pick(pieces)), bytes.subarray(at));
    case 4:
      return withNumber(bytes, at, random);
    case 5: {
      const other = random.pick(others);
      const from = random.int(0, other.length);
      return joined(bytes.subarray(0, at), other.subarray(from, from + random.int(0, 2048)), bytes.subarray(end));
    }
    case 6:
      return withLines(bytes, random);
    case 7:
      // A part over and over: what grows faster than its input shows.
      return joined(
        bytes.subarray(0, at),
        ...new Array<Uint8Array>(random.int(2, 64)).fill(bytes.subarray(at, end)),
        bytes.subarray(at),
      );
    case 8: {
      const copy = Buffer.from(bytes);
      if (at + 4 <= copy.length) copy.writeUInt32BE(random.pick([0, 1, 0x7fff_ffff, 0xffff_ffff, bytes.length, 4]), at);
      return copy;
    }
    default:
      return Buffer.from(bytes.subarray(0, at));
  }
}

const joined = (...parts: readonly Uint8Array[]): Buffer<ArrayBuffer> => Buffer.concat(parts).subarray(0, MOST_BYTES);

/** The number at or behind a place becomes another. */
function withNumber(bytes: Buffer<ArrayBuffer>, at: number, random: Random): Buffer<ArrayBuffer> {
  const text = bytes.toString('latin1', at, at + 256);
  const match = /(?:0x)?[0-9a-f]+/i.exec(text);
  if (!match) return bytes;
  const start = at + match.index;
  return joined(bytes.subarray(0, start), Buffer.from(random.pick(numbers)), bytes.subarray(start + match[0].length));
}

/** Two lines change places, or one comes twice. */
function withLines(bytes: Buffer<ArrayBuffer>, random: Random): Buffer<ArrayBuffer> {
  const lines = bytes.toString('latin1').split('\n');
  const [a, b] = [random.int(0, lines.length - 1), random.int(0, lines.length - 1)];
  if (random.chance(0.5)) lines.splice(a, 0, lines[b] ?? '');
  else [lines[a], lines[b]] = [lines[b] ?? '', lines[a] ?? ''];
  return Buffer.from(lines.join('\n'), 'latin1');
}
