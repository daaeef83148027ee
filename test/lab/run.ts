import { spawn } from 'node:child_process';
import { readConsole, type Boot } from './console.js';

/** What a program that ran to its end left behind. */
export interface Ran {
  /** Standard output; a guest's console with `-serial stdio` or `-nographic`. */
  readonly output: string;
  readonly errors: string;
  /** Exit code, or the name of the signal that ended it. */
  readonly end: number | NodeJS.Signals;
  /** What the output shows of a guest. */
  readonly boots: readonly Boot[];
}

/**
 * Runs a program, QEMU or one in front of it, until it ends. After `seconds` it and all that it started are killed and
 * the promise is rejected with what was printed so far.
 */
export function runToEnd(
  command: readonly [string, ...string[]],
  { seconds = 60, env = process.env } = {},
): Promise<Ran> {
  const [program, ...args] = command;
  // A process group of its own, so that killing it reaches what the program has started.
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      reject(new Error(`${program} did not end within ${seconds} s. It printed:\n${output}\n${errors}`));
    }, seconds * 1000);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ output, errors, end: code ?? signal ?? 0, boots: readConsole(output) });
    });
  });
}
