import { run } from '@stricli/core';
import { commandNames, makeApp } from './app.js';
import { report, type Context } from './context.js';
import type { Io } from './io.js';
import { usageExit } from './usage.js';

/**
 * The command line as a function.
 * @param argv the arguments after the program's name
 * @returns the exit code: docs/reference.md, "Exit codes"
 */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  const context: Context & { process: { exitCode?: number | string | null } } = {
    io,
    exitCode: undefined,
    process: {
      stdout: io.stdout,
      stderr: io.stderr,
      env: { ...io.env, STRICLI_NO_COLOR: io.env['NO_COLOR'] ? '1' : undefined } as Record<string, string>,
    } as never,
  };
  try {
    await run(makeApp(argv, io), argv.length > 0 ? argv : ['--help'], context);
  } catch (error) {
    return report(error, io);
  }
  // Where no command has set it, the arguments did not lead to one.
  return context.exitCode ?? usageExit(context.process.exitCode, argv, commandNames, io);
}
