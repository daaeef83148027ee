import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Exit, Problem } from '../problem/problem.js';

/** Waits until its standard input ends, which it does however pinbar ends, and removes the folder. */
const REMOVE = 'read -r _; rm -rf -- "$1"';

/**
 * A folder that nobody else may enter, for sockets. It is removed by a process of its own, which outlives pinbar by that
 * much, so that nothing is left whatever pinbar dies of.
 */
export class PrivateFolder {
  private constructor(
    readonly path: string,
    private readonly remover: ChildProcess,
  ) {}

  /** @throws Problem `twin-folder`, exit 3 */
  static async make(): Promise<PrivateFolder> {
    try {
      const path = await mkdtemp(join(tmpdir(), 'pinbar-twin-'));
      // A session of its own: what a terminal sends to pinbar is not meant for it.
      const remover = spawn('/bin/sh', ['-c', REMOVE, 'sh', path], {
        stdio: ['pipe', 'ignore', 'ignore'],
        detached: true,
      });
      remover.on('error', () => undefined);
      remover.stdin.on('error', () => undefined);
      remover.unref();
      return new PrivateFolder(path, remover);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Problem('twin-folder', `no folder can be made for the sockets: ${why}`, {
        exit: Exit.outside,
        hint: 'TMPDIR names the folder that it is made in',
      });
    }
  }

  async remove(): Promise<void> {
    const { remover } = this;
    if (remover.exitCode !== null || remover.pid === undefined) return;
    const gone = new Promise((resolve) => remover.once('exit', resolve));
    remover.ref();
    remover.stdin?.end();
    await gone;
  }
}
