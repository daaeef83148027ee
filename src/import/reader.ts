import type { Bdf } from '../pci/bdf.js';
import type { GuestLine } from './lines.js';
import type { Observation } from './observation.js';

/** Reads one kind of listing out of a text that may hold several, line by line. */
export interface ListingReader {
  /** A line that holds none of these means nothing to the reader while it is {@link idle}. */
  readonly openers: readonly string[];
  /** Nothing is open: no line counts that would not count as the first. */
  readonly idle: boolean;
  /** True if the line belongs to this kind of listing and was taken. */
  take(line: GuestLine): boolean;
  /** Ends what is being read (a new boot, the end of the text) and gives what was found since the last time. */
  finish(boot: number): Observation[];
}

/** `SSSS:BB:DD.F` in the parts of a match; undefined where the device is above 0x1f. */
export function bdfOf(segment: string | undefined, bus: string, device: string, fn: string): Bdf | undefined {
  const bdf = {
    segment: parseInt(segment ?? '0', 16),
    bus: parseInt(bus, 16),
    device: parseInt(device, 16),
    fn: parseInt(fn, 16),
  };
  return bdf.device < 32 ? bdf : undefined;
}

const digits = Array.from('0123456789abcdefABCDEF');

/** `:1f.`, the part of a function's address that hardly anything else holds, for every device. */
export const deviceDots: readonly string[] = digits.flatMap((a) => digits.map((b) => `:${a}${b}.`));

export const emptyObservation = { functions: [], busWindows: [], hostWindows: [], notes: [] } as const;
