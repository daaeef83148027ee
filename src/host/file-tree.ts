import { closeSync, constants, fstatSync, openSync, readdirSync, readlinkSync, readSync, realpathSync } from 'node:fs';
import { sep } from 'node:path';
import { Problem } from '../problem/problem.js';
import type { NotRead, SystemTree } from '../import/system/tree.js';

/** Names in one folder; more than the kernel ever has, and a copy need not be one. */
const MOST_NAMES = 0x2_0000;

/**
 * The files of the system below `root`, `/` or the folder of a copy. Files are opened for reading only, and never through
 * a symbolic link; what a copy's links lead to outside of it is not there.
 * @throws Problem `scan-root` where there is no such folder
 */
export function fileTree(root: string): SystemTree {
  let top: string;
  try {
    top = realpathSync(root);
    readdirSync(top);
  } catch (error) {
    throw new Problem('scan-root', `cannot read the folder ${root}: ${reason(error)}`, {
      hint: 'name the folder that holds sys/ (and proc/, if it was copied)',
      facts: { root },
    });
  }
  return new FileTree(root, top === sep ? '' : top);
}

class FileTree implements SystemTree {
  readonly live: boolean;
  readonly #buffer = Buffer.allocUnsafe(0x1000);

  constructor(
    readonly name: string,
    readonly top: string,
  ) {
    this.live = top === '';
  }

  list(path: string): readonly string[] {
    try {
      return readdirSync(this.top + path, 'latin1')
        .slice(0, MOST_NAMES)
        .sort();
    } catch {
      return [];
    }
  }

  read(path: string, most: number): Uint8Array | NotRead {
    let file: number;
    try {
      // A pipe in a copy must not make this wait.
      file = openSync(this.top + path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return code === 'EACCES' || code === 'EPERM' ? 'denied' : 'absent';
    }
    try {
      if (!fstatSync(file).isFile()) return 'absent';
      return this.#all(file, most);
    } catch {
      // What sysfs shows may be gone, or refuse, by the time it is read.
      return 'absent';
    } finally {
      closeSync(file);
    }
  }

  link(path: string): string | undefined {
    try {
      return readlinkSync(this.top + path);
    } catch {
      return undefined;
    }
  }

  resolve(path: string): string | undefined {
    try {
      const real = realpathSync.native(this.top + path);
      if (this.top === '') return real;
      return real.startsWith(this.top + sep) ? real.slice(this.top.length) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Files in sysfs and proc do not say how long they are. */
  #all(file: number, most: number): Uint8Array {
    const parts: Buffer[] = [];
    let size = 0;
    for (;;) {
      const room = Math.min(this.#buffer.length, most - size);
      const count = room > 0 ? readSync(file, this.#buffer, 0, room, null) : 0;
      if (count === 0) break;
      parts.push(Buffer.from(this.#buffer.subarray(0, count)));
      size += count;
    }
    return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such folder',
  ENOTDIR: 'it is no folder',
  EACCES: 'permission denied',
};

function reason(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return reasons[code] ?? message;
}
