import type { LogLine } from '../line.js';

/** A message that programs around PCI print, by what it says. */
export interface MessageRule<Code extends string = string> {
  readonly code: Code;
  /** A line that holds none of these does not match; so most lines are never tried. */
  readonly words: readonly string[];
  readonly pattern: RegExp;
}

/** A line that matched a rule, with the parts that the rule names. */
export interface Message {
  readonly kind: 'message';
  readonly code: string;
  readonly values: Readonly<Record<string, string | undefined>>;
  readonly line: LogLine;
}

export const rule = <const Code extends string>(
  code: Code,
  pattern: RegExp,
  ...words: string[]
): MessageRule<Code> => ({
  code,
  words,
  pattern,
});
