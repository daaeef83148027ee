import fc from 'fast-check';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { GuestBytesReader } from './guest-bytes.js';
import { readGuestText } from './guest-text.js';

/** Lines of all samples: of every kind of listing that is read. */
const folder = new URL('samples/', import.meta.url);
const samples = readdirSync(folder).map((name) => readFileSync(new URL(`${name}/input.txt`, folder), 'utf8'));
const lines = samples.flatMap((text) => text.split('\n'));

function read(text: string, piece: number) {
  const bytes = new TextEncoder().encode(text);
  const reader = new GuestBytesReader('text.txt');
  for (let i = 0; i < bytes.length; i += piece) {
    const chunk = bytes.slice(i, i + piece);
    reader.push(chunk);
    chunk.fill(0x42);
  }
  return reader.finish();
}

describe('GuestBytesReader', () => {
  it.each(samples.map((text) => [text.slice(0, 60), text]))('finds what is found line by line: %j', (_, text) => {
    for (const piece of [1, 7, 4096, text.length]) expect(read(text, piece)).toEqual(readGuestText('text.txt', text));
  });

  it('finds what is found line by line, in any mix of lines, stamped, coloured, cut and quoted', () => {
    const stamp = fc.constantFrom(
      '',
      '',
      '[    1.234567] ',
      '<6>[   12.000001] ',
      '2024-12-06T09:04:11+01:00 host kernel: ',
    );
    const around = fc.constantFrom(
      (line: string) => line,
      (line: string) => line,
      (line: string) => `\x1b[32m${line}\x1b[0m\r`,
      (line: string) => line.replace(':', '\x1b[0m:\x1b[1m'),
      (line: string) => `noise\r${line}`,
      (line: string) => line.toUpperCase(),
      (line: string) => line.slice(0, line.length >> 1),
    );
    const line = fc
      .tuple(stamp, fc.oneof(fc.constantFrom(...lines), fc.string()), around)
      .map(([before, text, change]) => change(before + text));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 40 }), fc.integer({ min: 1, max: 99 }), (mix, piece) => {
        const text = mix.join('\n');
        expect(read(text, piece)).toEqual(readGuestText('text.txt', text));
      }),
      { numRuns: 500 },
    );
  }, 60_000);

  it('takes the start of a line that does not end', () => {
    const start = 'pci 0000:00:01.0: BAR 0 [mem 0x10000000-0x10000fff]';
    const found = read(`${start}${' '.repeat(300_000)}pci 0000:00:02.0: BAR 0 [mem 0x10000000-0x10000fff]\n`, 4096);
    expect(found.flatMap(({ functions }) => functions.map(({ address }) => address.device))).toEqual([1]);
  });
});
