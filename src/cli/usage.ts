import {
  ArgumentScannerError,
  ExitCode,
  formatMessageForArgumentScannerError,
  text_en,
  type ApplicationText,
} from '@stricli/core';
import { Exit, Problem, type ExitCode as OurExitCode } from '../problem/problem.js';
import { styleFor, type Io } from './io.js';
import { renderProblem } from './render/problem.js';

/** The sentences for mistakes in `argv`, in the form of every other problem. */
export function usageText(argv: readonly string[], io: Io): ApplicationText {
  // The caller ends the line.
  const error = (message: string, hint?: string) =>
    renderProblem(new Problem('usage', message, hint === undefined ? {} : { hint }), io).trimEnd();
  const defect = (what: string) => (thrown: unknown) =>
    error(
      `${what}: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
      'install pinbar again, or report it',
    );
  return {
    ...text_en,
    noCommandRegisteredForInput: ({ input, corrections }) =>
      error(`there is no ${input.startsWith('-') ? 'option' : 'command'} ${input}`, didYouMean(corrections)),
    exceptionWhileParsingArguments: (thrown) =>
      thrown instanceof ArgumentScannerError
        ? error(...sentence(thrown, argv))
        : error(`the arguments cannot be read: ${String(thrown)}`),
    exceptionWhileLoadingCommandFunction: defect('the command cannot be loaded'),
    exceptionWhileLoadingCommandContext: defect('the command cannot be started'),
    exceptionWhileRunningCommand: defect('the command failed'),
  };
}

/** What was mistaken, and what was meant where that can be told. */
function sentence(mistake: ArgumentScannerError, argv: readonly string[]): [message: string, hint?: string] {
  const forQemu =
    argv[0] === 'run' && !argv.includes('--')
      ? 'the QEMU command line goes behind --, as it is: pinbar run -- qemu-system-aarch64 ...'
      : undefined;
  let hint: string | undefined;
  const message = formatMessageForArgumentScannerError(mistake, {
    FlagNotFoundError: ({ input, corrections }) => {
      hint = didYouMean(corrections.map((name) => `--${name}`)) ?? forQemu;
      return `there is no option --${input}`;
    },
    AliasNotFoundError: ({ input }) => {
      hint = forQemu;
      return `there is no option -${input}`;
    },
    UnsatisfiedPositionalError: ({ placeholder }) => `${placeholder} is missing`,
    UnexpectedPositionalError: ({ expectedCount, input }) =>
      `${input} is one argument too many: ${expectedCount === 0 ? 'none is' : expectedCount === 1 ? 'one is' : `${expectedCount} are`} expected`,
    UnsatisfiedFlagError: ({ externalFlagName, nextFlagName }) =>
      `--${externalFlagName} needs a value${nextFlagName === undefined ? '' : `, and --${nextFlagName} follows`}`,
    UnexpectedFlagError: ({ externalFlagName, previousInput, input }) =>
      `--${externalFlagName} is given twice: ${previousInput} and ${input}`,
    ArgumentParseError: ({ externalFlagNameOrPlaceholder, input }) =>
      `--${externalFlagNameOrPlaceholder} cannot be ${input}`,
    InvalidNegatedFlagSyntaxError: ({ externalFlagName, valueText }) =>
      `--${externalFlagName} takes no value, and ${valueText} is given`,
  });
  return hint === undefined ? [message] : [message, hint];
}

/** Corrections of commands come in backquotes. */
function didYouMean(corrections: readonly string[]): string | undefined {
  if (corrections.length === 0) return undefined;
  return `did you mean ${corrections.map((one) => one.replaceAll('`', '')).join(' or ')}?`;
}

/**
 * What the exit code of the argument parser means to pinbar's caller. After a mistake in the arguments it says, once,
 * where help is.
 * @param commands the names of the commands
 */
export function usageExit(
  code: number | string | null | undefined,
  argv: readonly string[],
  commands: readonly string[],
  io: Io,
): OurExitCode {
  if (code === undefined || code === ExitCode.Success) return Exit.done;
  if (code !== ExitCode.InvalidArgument && code !== ExitCode.UnknownCommand) return Exit.outside;
  const command = commands.find((name) => name === argv[0]);
  io.stderr.write(
    `  ${styleFor(io.stderr, io.env).cyan('help:')} pinbar ${command === undefined ? '' : `${command} `}--help\n`,
  );
  return Exit.badInput;
}
