import { AddressRange } from '../../address/range.js';
import { fromHex } from '../lines.js';
import type { LogLine } from './line.js';

/** A line of /proc/iomem (kernel/resource.c). */
export interface MapEntry {
  /** 0 for a top range; children lie in the entry above with less. */
  readonly depth: number;
  readonly range: AddressRange;
  readonly name: string;
  readonly line: LogLine;
}

const entry = /^( *)([0-9a-f]{8,16})-([0-9a-f]{8,16}) : (.{1,120})$/;

/** Undefined where the line is no entry, or was read without root (all zero). */
export function mapEntry(line: LogLine): MapEntry | undefined {
  const match = entry.exec(line.text.trimEnd());
  if (!match?.[2] || !match[3] || !match[4]) return undefined;
  const [base, limit] = [fromHex(match[2]), fromHex(match[3])];
  if (limit < base || limit === 0n) return undefined;
  return { depth: (match[1] ?? '').length / 2, range: AddressRange.of(base, limit), name: match[4].trim(), line };
}
