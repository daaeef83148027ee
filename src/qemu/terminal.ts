import { spawnSync } from 'node:child_process';
import { isatty } from 'node:tty';

/**
 * Remembers how the terminal on standard input is set. QEMU puts it into raw mode for a guest's console and sets it back
 * when it ends, but not when it is killed.
 * @returns sets the terminal back; does nothing where standard input is no terminal
 */
export function rememberTerminal(): () => void {
  if (!isatty(0)) return () => undefined;
  const { stdout, status } = spawnSync('stty', ['-g'], { stdio: ['inherit', 'pipe', 'ignore'], encoding: 'utf8' });
  if (status !== 0) return () => undefined;
  return () => void spawnSync('stty', [stdout.trim()], { stdio: ['inherit', 'ignore', 'ignore'] });
}
