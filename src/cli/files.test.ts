import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, readdir, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Exit } from '../problem/problem.js';
import { readInput, writeOutput } from './files.js';
import type { Io, Output } from './io.js';

const output: Output = { write: () => undefined, isTTY: false, columns: 80 };

function* endless(chunk: Uint8Array, count: { read: number }) {
  for (;;) {
    count.read += chunk.length;
    yield chunk;
  }
}

const ioWith = (chunks: Iterable<Uint8Array>): Io => ({
  stdout: output,
  stderr: output,
  env: {},
  async *stdin() {
    for (const chunk of chunks) yield await Promise.resolve(chunk);
  },
});
const io = ioWith([]);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pinbar-files-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('reading', () => {
  it('joins what comes in pieces, a letter in two of them included, without a byte order mark', async () => {
    const bytes = Buffer.from('\ufeffgröße\n');
    const pieces = [...bytes].map((byte) => Uint8Array.of(byte));
    expect(await readInput('-', ioWith(pieces))).toEqual({ name: '<stdin>', text: 'größe\n' });
    const path = join(folder, 'a');
    await writeFile(path, bytes);
    expect(await readInput(path, io)).toEqual({ name: path, text: 'größe\n' });
  });

  it('stops at 64 MiB of a standard input that never ends', async () => {
    const count = { read: 0 };
    const reading = readInput('-', ioWith(endless(Buffer.alloc(1 << 20), count)));
    await expect(reading).rejects.toMatchObject({ code: 'input-too-large', exit: Exit.badInput });
    expect(count.read).toBeLessThanOrEqual(65 << 20);
  });

  it('stops at 64 MiB of a file that says it has none', async () => {
    await expect(readInput('/dev/zero', io)).rejects.toMatchObject({ code: 'input-too-large' });
  });

  it.each([
    ['no-such-file', 'there is no such file'],
    ['', 'it is a folder'],
  ])('says why it cannot read "%s"', async (name, why) => {
    await expect(readInput(join(folder, name), io)).rejects.toMatchObject({
      code: 'input-unreadable',
      message: expect.stringContaining(why) as string,
    });
  });
});

describe('writing', () => {
  it('leaves a symbolic link a link, and the mode of the file as it was', async () => {
    const [file, link] = [join(folder, 'file'), join(folder, 'link')];
    await writeFile(file, 'old');
    await chmod(file, 0o640);
    await symlink('file', link);
    await writeOutput(link, 'new');
    expect(await readlink(link)).toBe('file');
    expect(await readFile(file, 'utf8')).toBe('new');
    expect((await stat(file)).mode & 0o777).toBe(0o640);
    expect(await readdir(folder)).toEqual(['file', 'link']);
  });

  it('writes into a pipe and does not put a file in its place', async () => {
    const pipe = join(folder, 'pipe');
    await promisify(execFile)('mkfifo', [pipe]);
    const reader = promisify(execFile)('cat', [pipe]);
    await writeOutput(pipe, 'plan\n');
    expect((await reader).stdout).toBe('plan\n');
    expect((await stat(pipe)).isFIFO()).toBe(true);
  });

  it('says that the folder is missing, not the file', async () => {
    await expect(writeOutput(join(folder, 'no', 'file'), 'x')).rejects.toMatchObject({
      code: 'output-unwritable',
      exit: Exit.outside,
      message: expect.stringContaining('there is no such folder') as string,
    });
  });

  it('leaves nothing behind where it fails', async () => {
    await expect(writeOutput(folder, 'x')).rejects.toMatchObject({ code: 'output-unwritable' });
    expect(await readdir(folder)).toEqual([]);
  });
});
