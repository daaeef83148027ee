import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { Exit, Problem } from '../problem/problem.js';
import type { Io } from './io.js';

/** A file larger than this is refused unread. */
const MAX_INPUT = 64 * 1024 * 1024;

export interface Input {
  /** The name for messages. */
  readonly name: string;
  readonly text: string;
}

/**
 * Reads a text file; `-` is standard input.
 * @throws Problem `input-missing`, `input-unreadable`, `input-too-large`
 */
export async function readInput(path: string, io: Io): Promise<Input> {
  if (path === '-') return { name: '<stdin>', text: await io.readStdin() };
  try {
    const { size } = await stat(path);
    if (size > MAX_INPUT) {
      throw new Problem('input-too-large', `${path} has ${size} bytes; pinbar reads files of at most ${MAX_INPUT}`, {
        where: { file: path },
      });
    }
    return { name: path, text: await readFile(path, 'utf8') };
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw fileProblem(error, path, 'read');
  }
}

/**
 * Writes a file whole or not at all: under another name first, then renamed.
 * @throws Problem `output-unwritable`, exit 3
 */
export async function writeOutput(path: string, text: string): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw fileProblem(error, path, 'write');
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of its path is no folder',
  ENOSPC: 'the disk is full',
  EROFS: 'the file system is read-only',
};

function fileProblem(error: unknown, path: string, verb: 'read' | 'write'): Problem {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const why = reasons[code] ?? (error instanceof Error ? error.message : String(error));
  return verb === 'read'
    ? new Problem('input-unreadable', `cannot read ${path}: ${why}`, { where: { file: path } })
    : new Problem('output-unwritable', `cannot write ${path}: ${why}`, { exit: Exit.outside });
}
