import type { CommandContext } from '@stricli/core';
import { Exit, Problem, Problems, type ExitCode } from '../problem/problem.js';
import type { Io } from './io.js';
import { renderProblem } from './render/problem.js';

/** What a command runs in: the process behind `io`, and the exit code that it sets. */
export interface Context extends CommandContext {
  readonly io: Io;
  exitCode: number | undefined;
}

/**
 * Runs a command's work: its result is the exit code, a Problem is printed and gives its own.
 * Anything else that is thrown is a defect of pinbar; it is said in one line, with the stack only if asked for.
 */
export async function work(context: Context, run: (io: Io) => Promise<number>): Promise<void> {
  const { io } = context;
  try {
    context.exitCode = await run(io);
  } catch (error) {
    context.exitCode = report(error, io);
  }
}

/** Prints what went wrong on standard error and gives the exit code. */
export function report(error: unknown, io: Io): ExitCode {
  const problems = error instanceof Problems ? error.list : error instanceof Problem ? [error] : undefined;
  if (problems) {
    for (const problem of problems) io.stderr.write(renderProblem(problem, io));
    return problems.reduce<ExitCode>((code, problem) => (problem.exit > code ? problem.exit : code), Exit.done);
  }
  const message = error instanceof Error ? error.message : String(error);
  io.stderr.write(
    `pinbar: defect: ${message}\nThis is a mistake in pinbar itself; PINBAR_DEBUG=1 shows where. Please report it.\n`,
  );
  if (io.env['PINBAR_DEBUG'] && error instanceof Error) io.stderr.write(`${error.stack ?? ''}\n`);
  return Exit.outside;
}
