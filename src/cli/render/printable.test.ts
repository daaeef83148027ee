import { describe, expect, it } from 'vitest';
import { loadMachine } from '../../machine/load.js';
import { place } from '../../place/place.js';
import { Problem } from '../../problem/problem.js';
import type { Io, Output } from '../io.js';
import { printable, printableLines } from './printable.js';
import { renderProblem } from './problem.js';
import { renderResult } from './result.js';

const output: Output = { write: () => undefined, isTTY: false, columns: 120 };
const io: Io = { stdout: output, stderr: output, env: {}, stdin: () => process.stdin };

describe('printable', () => {
  it.each([
    ['rp1', 'rp1'],
    ['größe 日本 🚀', 'größe 日本 🚀'],
    ['a\u001b[2Jb', 'a\\x1b[2Jb'],
    ['a\nb\tc\r', 'a\\x0ab\\x09c\\x0d'],
    ['\u009b31m\u007f', '\\x9b31m\\x7f'],
    ['x\u202ey\u2028z', 'x\\u{202e}y\\u{2028}z'],
    ['\ud800', '\\u{d800}'],
  ])('%j becomes %j', (text, shown) => expect(printable(text)).toBe(shown));

  it('leaves lines lines where they are meant', () => expect(printableLines('a\u0007\nb')).toBe('a\\x07\nb'));
});

const file = (pin: string) => `
pinbar: 1
machine: { arch: aarch64, board: virt, ram: 1GiB }
reserved: [{ base: 0x10000000, size: 4KiB, reason: "why\\e[2J" }]
hostBridges:
  - id: "host\\e]0;title\\a"
    functions:
      - id: "rp\\e[31m"
        slot: "1.0"
        bridge:
          kind: root-port
          functions: [{ id: "dev\\n\\e[31m", slot: "0.0", bars: [{ index: 0, type: mem32, size: 4KiB${pin} }] }]
`;

describe('what people see of a machine with control characters in its names', () => {
  it.each([
    ['a plan', ''],
    ['a conflict', ', pin: 0x10000000'],
  ])('%s has none of them, and shows them all', async (_, pin) => {
    const text = renderResult(place(await loadMachine(file(pin), 'x')), output, {});
    expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    expect(text).toContain('dev\\x0a\\x1b[31m');
  });

  it('a problem has none of them, in its place, its sentence and its hint', () => {
    const problem = new Problem('x', 'no \u001b[2J\nsuch', { where: { file: 'a\u001b[1m' }, hint: '\u0007' });
    expect(renderProblem(problem, io)).toBe('a\\x1b[1m: error: no \\x1b[2J\nsuch\n  help: \\x07\n');
  });
});
