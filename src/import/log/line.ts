import { cleanLine, type GuestLine } from '../lines.js';
import type { Source } from '../observation.js';

/** A line of a report: as it stands in its file, and without what loggers, mail and containers put around it. */
export interface LogLine extends GuestLine {
  /** The line byte for byte, without its line feed. */
  readonly raw: string;
  /** Which boot of its file, from 1; 0 where no boot was seen to begin. */
  readonly boot: number;
}

/** Longer lines are cut where they are kept: nothing that is read here comes near it. */
const LONGEST_KEPT = 4096;

const quoted = /^(?:[>|] ?){1,8}/;
/** A kernel's time stamp inside another logger's message: `msg="[   67.480726] pci …\n"`. */
const innerStamp = /(["'`]?)\[ {0,11}\d{1,9}\.\d{3,9}\](?:\[ {0,9}[TC]\d{1,9}\])? /;

/** A line without the marks of quoting that mail programs put before it. */
export function unquoted(raw: string): string {
  const first = raw.charCodeAt(0);
  return first === 62 || first === 124 ? raw.replace(quoted, '') : raw;
}

/** Reads one line of a report. */
export function logLine(raw: string, source: Source, boot = 0): LogLine {
  const kept = raw.length > LONGEST_KEPT ? raw.slice(0, LONGEST_KEPT) : raw;
  const line = cleanLine(unquoted(kept), source);
  const inner = line.time === undefined && line.text.includes('] ') ? innerStamp.exec(line.text) : null;
  const end = kept.endsWith('\r') ? kept.slice(0, -1) : kept;
  const whole = inner ? line.text.slice(inner.index + inner[0].length) : line.text;
  const text = inner?.[1] ? whole.replace(/(?:\\n)?["'`][^"'`]*$/, '') : whole;
  return line.time === undefined ? { text, source, raw: end, boot } : { text, time: line.time, source, raw: end, boot };
}
