import { parseSize } from '../../address/format.js';
import { ADDRESS_SPACE, MiB, type CpuAddress, type Size } from '../../address/kinds.js';
import { Problem } from '../../problem/problem.js';
import { parseQemuNumber } from './pins.js';

/** RAM in parts, as `--split-ram` asks for it. */
export interface SplitRam {
  /** At the board's own base: what QEMU's `-m` says then. */
  readonly low: Size;
  /** What lies elsewhere, one or more. */
  readonly high: readonly RamPart[];
  /** Where it was asked for, for messages. */
  readonly source: string;
}

export interface RamPart {
  readonly size: Size;
  /** Undefined: wherever there is room. */
  readonly base?: CpuAddress;
}

const SYNTAX =
  'write LOW+HIGH, such as --split-ram 1GiB+4GiB, or LOW+HIGH@ADDRESS; all are RAM, in whole MiB, LOW at the board’s own base';

/**
 * The argument of `--split-ram`: `1GiB+4GiB`, `1GiB+4GiB@0x400000000`, `1GiB+2GiB@0x400000000+2GiB@0x500000000`.
 * @throws Problem `split-ram-syntax`, `split-ram-size`, `split-ram-address`
 */
export function parseSplitRam(argument: string): SplitRam {
  const source = `--split-ram ${argument.slice(0, 120)}`;
  const wrong = (what: string, code = 'split-ram-syntax', hint = SYNTAX) =>
    new Problem(code, `${source}: ${what}`, { hint, facts: { argument: argument.slice(0, 200) } });
  const size = (text: string): Size => {
    let bytes: bigint;
    try {
      bytes = parseSize(text);
    } catch (error) {
      if (error instanceof Problem) throw wrong(error.message, 'split-ram-size', error.hint);
      throw error;
    }
    if (bytes > 0n && bytes % MiB === 0n) return bytes;
    throw wrong(`${text} is ${bytes === 0n ? 'no RAM at all' : 'no whole number of MiB'}`, 'split-ram-size');
  };
  const [low = '', ...high] = argument.split('+');
  if (high.length === 0) throw wrong('there is no +, so there is one part only');
  if (low.includes('@')) {
    throw wrong('the first part lies at the board’s own base, which no option moves', 'split-ram-address');
  }
  return {
    low: size(low),
    high: high.map((text) => {
      const [first = '', base, ...more] = text.split('@');
      if (more.length > 0) throw wrong(`"${text.slice(0, 60)}" has two addresses`);
      if (base === undefined) return { size: size(first) };
      const address = parseQemuNumber(base, 'split-ram-address', 'an address is needed after the @', { text: source });
      if (address % MiB !== 0n) throw wrong(`${base} is no multiple of 1 MiB`, 'split-ram-address');
      const part = { size: size(first), base: address };
      if (part.base + part.size > ADDRESS_SPACE) throw wrong(`${text} ends past 64 bits`, 'split-ram-address');
      return part;
    }),
    source,
  };
}
