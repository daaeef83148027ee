import type { Io, Output } from '../../src/cli/io.js';
import { main } from '../../src/cli/main.js';

export interface RunOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether standard output and standard error are terminals. */
  readonly tty?: boolean;
}

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line in memory. */
export async function pinbar(argv: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const text = { stdout: '', stderr: '' };
  const output = (name: 'stdout' | 'stderr'): Output => ({
    write: (part) => {
      // Bytes as Latin-1: a character each.
      text[name] += typeof part === 'string' ? part : Buffer.from(part).toString('latin1');
    },
    isTTY: options.tty ?? false,
    columns: 120,
  });
  const io: Io = {
    stdout: output('stdout'),
    stderr: output('stderr'),
    env: { LANG: 'C.UTF-8', ...options.env },
    stdin: async function* () {
      yield await Promise.resolve(Buffer.from(options.stdin ?? ''));
    },
  };
  const code = await main(argv, io);
  return { code, ...text };
}

/** Exit code and both outputs as one text, for snapshots. */
export const transcript = ({ code, stdout, stderr }: Ended): string =>
  [`exit code ${code}`, '--- stdout', stdout, '--- stderr', stderr].join('\n');
