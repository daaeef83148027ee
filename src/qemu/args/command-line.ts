import { Problem } from '../../problem/problem.js';
import { arityOf, canonicalOption } from './options.js';

/** One option with its argument, or a word of its own. */
export interface QemuArgument {
  /** The index of its first word in the argv that was read; the program is 0. */
  readonly index: number;
  /** QEMU's name for it without dashes (`machine` for -M too); null for a word that is no option: a disk image. */
  readonly option: string | null;
  /** Whether QEMU 7.2 or 10.0 has such an option. True for a disk image. */
  readonly known: boolean;
  /** The option's argument. */
  readonly value?: string;
  /** The words as they were given: the option and its argument, if any. */
  readonly words: readonly string[];
}

export interface QemuCommandLine {
  readonly program: string;
  readonly arguments: readonly QemuArgument[];
}

/**
 * Reads an argv whose first word is the QEMU program, as QEMU would. Words are kept as they are: `formatQemuArgs` gives
 * them back byte for byte.
 *
 * An option that is not in QEMU 7.2 or 10.0 may be newer, so it is let through: QEMU is who knows. It is taken to own the next word
 * unless that begins with a dash. Where this guess is wrong, that word is a disk image, which is passed on just the same.
 * @throws Problem `qemu-program` where there is none, `qemu-argument-missing` where the last option needs an argument
 */
export function parseQemuArgs(argv: readonly string[]): QemuCommandLine {
  const [program, ...words] = argv;
  if (program === undefined || program === '' || program.startsWith('-')) {
    throw new Problem(
      'qemu-program',
      program
        ? `a QEMU program was expected, and the first word is ${program.slice(0, 80)}`
        : 'there is no QEMU program',
      {
        hint: 'write the whole QEMU command after --, such as -- qemu-system-aarch64 -machine virt …',
        facts: { program },
      },
    );
  }
  const found: QemuArgument[] = [];
  for (let at = 0; at < words.length;) {
    const word = words[at] ?? '';
    const index = at + 1;
    if (!word.startsWith('-')) {
      found.push({ index, option: null, known: true, words: [word] });
      at += 1;
      continue;
    }
    const name = word.slice(word.startsWith('--') ? 2 : 1);
    const arity = arityOf(name);
    const option = canonicalOption(name);
    const known = arity !== 'unknown';
    const value = words[at + 1];
    if (arity === 'argument' && value === undefined) {
      throw new Problem('qemu-argument-missing', `${word} is the last word of the QEMU command and needs an argument`, {
        hint: `complete it, or take ${word} out`,
        facts: { option, index },
      });
    }
    const owns = arity === 'argument' || (!known && name !== '' && value !== undefined && !value.startsWith('-'));
    if (owns && value !== undefined) found.push({ index, option, known, value, words: [word, value] });
    else found.push({ index, option, known, words: [word] });
    at += owns ? 2 : 1;
  }
  return { program, arguments: found };
}

/** The argv again, the program first. */
export const formatQemuArgs = (command: QemuCommandLine): string[] => [
  command.program,
  ...command.arguments.flatMap(({ words }) => words),
];

/** The same option with another argument. */
export const withValue = (argument: QemuArgument, value: string): QemuArgument => ({
  ...argument,
  value,
  words: [argument.words[0] ?? `-${argument.option ?? ''}`, value],
});

/** The command with more words at its end, read like the others. */
export function appendArgs(command: QemuCommandLine, words: readonly string[]): QemuCommandLine {
  const last = command.arguments.at(-1);
  const offset = last ? last.index + last.words.length - 1 : 0;
  const added = parseQemuArgs([command.program, ...words]).arguments;
  return {
    ...command,
    arguments: [...command.arguments, ...added.map((argument) => ({ ...argument, index: argument.index + offset }))],
  };
}

/** Every use of an option, in order, with its argument; only uses that have one. */
export function valuesOf(
  command: QemuCommandLine,
  ...options: readonly string[]
): { readonly argument: QemuArgument; readonly value: string }[] {
  return command.arguments.flatMap((argument) =>
    argument.option !== null && argument.value !== undefined && options.includes(argument.option)
      ? [{ argument, value: argument.value }]
      : [],
  );
}

export const hasOption = (command: QemuCommandLine, option: string): boolean =>
  command.arguments.some((argument) => argument.option === option);

/** An argument for messages: its words, shortened. */
export function showArgument(argument: QemuArgument): string {
  const text = argument.words.join(' ');
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
