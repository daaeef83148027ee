import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineScanner } from './line-scanner.js';
import { WordAutomaton } from './word-automaton.js';

const words = ['BAR ', 'VF', 'bus', '-> 0x', ':1f.', 'pci_bus ', 'us r', '[[', '00'];
const automaton = new WordAutomaton(words);

interface Line {
  readonly text: string;
  readonly words: readonly number[];
  readonly escapes: boolean;
}

function scan(bytes: Uint8Array, piece: number): Line[] {
  const found: Line[] = [];
  const scanner = new LineScanner(automaton, (line) => {
    expect(line.number).toBe(found.length + 1);
    const text = new TextDecoder('latin1').decode(line.bytes.subarray(line.start, line.end));
    found.push({ text, words: [...new Set(line.words)].sort((a, b) => a - b), escapes: line.escapes });
  });
  for (let i = 0; i < bytes.length; i += piece) {
    const chunk = bytes.slice(i, i + piece);
    scanner.push(chunk);
    chunk.fill(0x42);
  }
  scanner.finish();
  expect(scanner.lines).toBe(found.length);
  return found;
}

/** The same, the slow and obvious way. */
function search(bytes: Uint8Array): Line[] {
  const lines = new TextDecoder('latin1').decode(bytes).split('\n');
  if (lines.at(-1) === '') lines.pop();
  const patterns = words.map((word) => new RegExp(word.replace(/[.[\]]/g, '\\$&')));
  return lines.map((text) => ({
    text,
    words: patterns.flatMap((pattern, index) => (pattern.test(text) ? [index] : [])).sort((a, b) => a - b),
    escapes: text.includes('\x1b'),
  }));
}

const pieces = fc.constantFrom(...words, '\n', '\n', '\r\n', ':1f.7', ':1f', '.7', '\x1b[0m', 'b', 'B', '0', 'é', '\0');
const text = fc.array(fc.oneof(pieces, fc.string()), { maxLength: 40 });

describe('LineScanner', () => {
  it('finds in each line the words that are there, and where lines begin and end', () => {
    fc.assert(
      fc.property(text, (parts) => {
        const bytes = new TextEncoder().encode(parts.join(''));
        expect(scan(bytes, bytes.length || 1)).toEqual(search(bytes));
      }),
      { numRuns: 1000 },
    );
  });

  it('finds the same in any pieces', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 9 }), (parts, piece) => {
        const bytes = new TextEncoder().encode(parts.join(''));
        expect(scan(bytes, piece)).toEqual(search(bytes));
      }),
      { numRuns: 1000 },
    );
  });

  it('keeps the start of a line that does not end, and the words in it', () => {
    const long = new TextEncoder().encode(`BAR ${'x'.repeat(300_000)}VF\nbus`);
    const found = scan(long, 4096);
    expect(found.map(({ text, words }) => [text.length, words])).toEqual([
      [0x1_0000, [0]],
      [3, [2]],
    ]);
  });

  it('refuses words that no line of bytes holds', () => {
    expect(() => new WordAutomaton(['a\nb'])).toThrow(RangeError);
    expect(() => new WordAutomaton(['é'.repeat(3)])).toThrow(RangeError);
  });
});
