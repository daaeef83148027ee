import { createReadStream } from 'node:fs';
import { open, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { Exit, Problem } from '../problem/problem.js';
import type { Io } from './io.js';

/** A file with more bytes than this is refused. */
const MAX_INPUT = 64 * 1024 * 1024;

export interface Input {
  /** The name for messages. */
  readonly name: string;
  readonly text: string;
}

/**
 * Reads a text file of any kind (a pipe, `/dev/fd/63`); `-` is standard input. A byte order mark is left out.
 * @throws Problem `input-unreadable`, `input-too-large`
 */
export async function readInput(path: string, io: Io): Promise<Input> {
  const name = path === '-' ? '<stdin>' : path;
  try {
    return { name, text: await readText(name, path === '-' ? io.stdin() : createReadStream(path)) };
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw fileProblem(error, name, 'read');
  }
}

/** Bytes that are read at once. */
const PIECE = 0x4_0000;

/** The bytes of a file, piece by piece, all in one buffer: a piece holds good until the next one is asked for. */
export async function* piecesOf(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path);
  try {
    const buffer = Buffer.allocUnsafeSlow(PIECE);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, PIECE, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** Of a file that is read piece by piece more bytes than this are refused. */
const MAX_STREAM = 4 * 1024 * 1024 * 1024;

/**
 * The bytes of a file of any kind, piece by piece; `-` is standard input. A byte order mark is left out. A piece holds good
 * until the next one is asked for.
 * @throws Problem `input-unreadable`, `input-too-large`
 */
export async function* streamInput(path: string, io: Io): AsyncGenerator<Uint8Array> {
  const name = path === '-' ? '<stdin>' : path;
  let size = 0;
  try {
    const chunks: AsyncIterable<Uint8Array> = path === '-' ? io.stdin() : piecesOf(path);
    for await (const chunk of chunks) {
      const mark = size === 0 && chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf ? 3 : 0;
      size += chunk.length;
      if (size > MAX_STREAM) {
        throw new Problem('input-too-large', `${name} has more than ${MAX_STREAM} bytes, the most that pinbar reads`, {
          where: { file: name },
        });
      }
      if (chunk.length > mark) yield chunk.subarray(mark);
    }
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw fileProblem(error, name, 'read');
  }
}

/**
 * Reads a binary file; `-` is standard input.
 * @throws Problem `input-unreadable`, `input-too-large`
 */
export async function readBytes(path: string, io: Io): Promise<Uint8Array> {
  const name = path === '-' ? '<stdin>' : path;
  try {
    return await collect(name, path === '-' ? io.stdin() : createReadStream(path));
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw fileProblem(error, name, 'read');
  }
}

async function readText(name: string, chunks: AsyncIterable<Uint8Array>): Promise<string> {
  return new TextDecoder().decode(await collect(name, chunks));
}

async function collect(name: string, chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    // What a file says of its size is not to be relied on: /dev/zero says 0, and a log grows.
    if (size > MAX_INPUT) {
      throw new Problem('input-too-large', `${name} has more than ${MAX_INPUT} bytes, the most that pinbar reads`, {
        where: { file: name },
      });
    }
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

/**
 * Writes a file whole or not at all: under another name first, then renamed. What is no ordinary file (`/dev/null`, a
 * pipe) is written to, never replaced; a symbolic link stays, and the file that it leads to keeps its mode.
 * @throws Problem `output-unwritable`, exit 3
 */
export async function writeOutput(path: string, text: string | Uint8Array): Promise<void> {
  let temporary: string | undefined;
  try {
    const there = await stat(path).catch(() => undefined);
    if (there && !there.isFile()) {
      await writeFile(path, text);
      return;
    }
    const target = there ? await realpath(path) : path;
    const name = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}`);
    const file = await open(name, 'wx');
    temporary = name;
    try {
      if (there) await file.chmod(there.mode & 0o7777);
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
  } catch (error) {
    if (temporary !== undefined) await rm(temporary, { force: true }).catch(() => undefined);
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

export function fileProblem(error: unknown, path: string, verb: 'read' | 'write'): Problem {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const missing = code === 'ENOENT' && verb === 'write' ? 'there is no such folder' : undefined;
  const why = missing ?? reasons[code] ?? (error instanceof Error ? error.message : String(error));
  return verb === 'read'
    ? new Problem('input-unreadable', `cannot read ${path}: ${why}`, { where: { file: path } })
    : new Problem('output-unwritable', `cannot write ${path}: ${why}`, { exit: Exit.outside });
}
