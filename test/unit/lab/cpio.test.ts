import { describe, expect, it } from 'vitest';
import { cpio } from '../../lab/cpio.js';

describe('cpio', () => {
  const archive = cpio([
    { path: 'bin', kind: 'folder' },
    { path: 'bin/tool', kind: 'file', content: Buffer.from('abcde'), executable: true },
    { path: 'bin/alias', kind: 'link', target: 'tool' },
    { path: 'dev/console', kind: 'character-device', major: 5, minor: 1 },
  ]);

  it('gives every entry its type, permissions, size and content', () => {
    expect(list(archive)).toEqual([
      { name: 'bin', mode: 0o040755, device: [0, 0], content: '' },
      { name: 'bin/tool', mode: 0o100755, device: [0, 0], content: 'abcde' },
      { name: 'bin/alias', mode: 0o120777, device: [0, 0], content: 'tool' },
      { name: 'dev/console', mode: 0o020600, device: [5, 1], content: '' },
      { name: 'TRAILER!!!', mode: 0, device: [0, 0], content: '' },
    ]);
  });

  it('is aligned, so that another archive can follow it', () => {
    expect(archive.length % 4).toBe(0);
    expect(list(Buffer.concat([archive, archive]))).toHaveLength(10);
  });
});

/** Reads an archive from the format's description alone: 13 hex fields of 8 digits, name and content padded to 4 bytes. */
function list(archive: Buffer) {
  const entries = [];
  for (let at = 0; at < archive.length;) {
    const field = (index: number) => parseInt(archive.toString('latin1', at + 6 + 8 * index, at + 14 + 8 * index), 16);
    expect(archive.toString('latin1', at, at + 6)).toBe('070701');
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const start = (at + 110 + nameSize + 3) & ~3;
    const name = archive.toString('utf8', at + 110, at + 110 + nameSize - 1);
    entries.push({ name, mode, device: [field(9), field(10)], content: archive.toString('utf8', start, start + size) });
    at = (start + size + 3) & ~3;
  }
  return entries;
}
