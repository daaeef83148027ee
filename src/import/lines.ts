import { ADDRESS_SPACE } from '../address/kinds.js';
import { AddressRange } from '../address/range.js';
import type { Source } from './observation.js';

/** One line of a text, without what terminals and loggers put around it. */
export interface GuestLine {
  /** With its indentation. */
  readonly text: string;
  /** Seconds since boot, where the line carries the kernel's time stamp. */
  readonly time?: number;
  readonly source: Source;
}

/** Longer lines are cut: nothing that is read here comes near it. */
const LONGEST_LINE = 4096;

// ECMA-48 control sequences, and operating system commands ended by BEL.
const escapes = /\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*\x07?|[()][A-Z0-9]|[=>78cDEHM])/g;

const kernelTime = /^\[ {0,11}(\d{1,9}\.\d{1,9})\](?:\[ {0,9}[TC]\d{1,9}\])? ?/;
/** What loggers write before a line; each is tried again after another was taken off. */
const prefixes = [
  /^<\d{1,3}>/,
  // dmesg -T
  /^\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\] ?/,
  // ISO 8601, as `dmesg --time-format iso`, `journalctl -o short-iso` and container logs have it
  /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?(?: std(?:out|err) [FP])? ?(?:[\w.-]{1,255} [\w./-]{1,64}(?:\[\d{1,10}\])?: )?/,
  // syslog and the journal
  /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})? [\w.-]{1,255} [\w./-]{1,64}(?:\[\d{1,10}\])?: /,
];

/** Takes escape sequences, carriage returns and loggers' prefixes off a line. */
export function cleanLine(raw: string, source: Source): GuestLine {
  let text = raw.length > LONGEST_LINE ? raw.slice(0, LONGEST_LINE) : raw;
  if (text.includes('\x1b')) text = text.replace(escapes, '');
  if (text.includes('\r')) text = afterReturns(text);
  let time: number | undefined;
  for (let turn = 0; turn < 4; turn++) {
    const stamp = text.startsWith('[') ? kernelTime.exec(text) : null;
    if (stamp) {
      time = Number(stamp[1]);
      text = text.slice(stamp[0].length);
      continue;
    }
    const first = text.charCodeAt(0);
    // Digits, `<`, `[` and capitals: nothing else starts a prefix.
    if (!((first >= 48 && first <= 57) || first === 60 || first === 91 || (first >= 65 && first <= 90))) break;
    const prefix = prefixes.map((pattern) => pattern.exec(text)?.[0]).find((match) => match);
    if (prefix === undefined) break;
    text = text.slice(prefix.length);
  }
  return time === undefined ? { text, source } : { text, time, source };
}

/** What a terminal shows last: the text after the last carriage return that is followed by something. */
function afterReturns(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 13) end--;
  return text.slice(text.lastIndexOf('\r', end - 1) + 1, end);
}

/** The lines of a text, cut at line feeds, one at a time. */
export function* linesOf(text: string): Generator<string> {
  let start = 0;
  while (start < text.length) {
    const end = text.indexOf('\n', start);
    if (end < 0) {
      yield text.slice(start);
      return;
    }
    yield text.slice(start, end);
    start = end + 1;
  }
}

/** A hexadecimal number without `0x`. */
export const fromHex = (digits: string): bigint =>
  // What a number holds exactly is read faster as a number.
  digits.length <= 13 ? BigInt(parseInt(digits, 16)) : BigInt(`0x${digits}`);

/** A range by its ends, in hexadecimal without `0x`; undefined where one is missing, or it ends before it begins. */
export function rangeOfHex(base: string | undefined, limit: string | undefined): AddressRange | undefined {
  if (!base || !limit) return undefined;
  const [from, to] = [fromHex(base), fromHex(limit)];
  return from <= to && to < ADDRESS_SPACE ? AddressRange.of(from, to) : undefined;
}

/** `size` bytes from `base`; undefined where that is none, or more than 64 bits reach. */
export const rangeOfSize = (base: bigint, size: bigint): AddressRange | undefined =>
  base >= 0n && size > 0n && base + size <= ADDRESS_SPACE ? AddressRange.sized(base, size) : undefined;
