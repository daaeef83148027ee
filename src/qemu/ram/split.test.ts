import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GiB, MiB } from '../../address/kinds.js';
import { formatQemuArgs, parseQemuArgs } from '../args/command-line.js';
import { parseSplitRam } from '../args/split-ram.js';
import { machineTypeOf } from '../machines/machine-type.js';
import { naturalPieces, pieced } from './pieces.js';
import { splitRam } from './split.js';
import { shortage } from './host.js';

function split(text: string, words: string) {
  const notices: string[] = [];
  const before = parseQemuArgs(words.split(' '));
  const made = splitRam(before, machineTypeOf(before), parseSplitRam(text), (notice) => notices.push(notice));
  return { words: formatQemuArgs(made.command).join(' '), hidden: made.hidden, notices };
}
const RISCV = 'qemu-system-riscv64 -machine virt';
const PC = 'qemu-system-x86_64 -machine q35';
const problem = (code: string, text: string) =>
  expect.objectContaining({ code, exit: 1, message: expect.stringContaining(text) as string }) as Error;

describe('RAM in parts on a board with a device tree', () => {
  it('is the board’s own and functions that nothing before them in their slot makes visible', () => {
    const { words, hidden, notices } = split('1GiB+4GiB', `${RISCV} -smp 2`);
    expect(words).toBe(
      `${RISCV} -smp 2 -m 1G -object memory-backend-ram,id=pinbar-ram0-memory,size=4G -device ivshmem-plain,id=pinbar-ram0,memdev=pinbar-ram0-memory,bus=pcie.0,addr=1f.1`,
    );
    expect(hidden?.parts).toEqual([
      {
        size: 4n * GiB,
        alignment: 4n * GiB,
        pieces: [{ id: 'pinbar-ram0', slot: { device: 31, fn: 1 }, size: 4n * GiB, offset: 0n }],
      },
    ]);
    expect(notices).toEqual([]);
  });

  it('takes -m out, and says so where it said something else', () => {
    expect(split('1GiB+4GiB', `${RISCV} -m 5G`)).toMatchObject({
      words: expect.not.stringContaining('5G') as string,
      notices: [],
    });
    expect(split('1GiB+4GiB', `${RISCV} -m 8G`).notices).toEqual([
      '-m 8G is taken out: --split-ram 1GiB+4GiB says how much RAM there is, 5 GiB',
    ]);
    expect(() => split('1GiB+4GiB', `${RISCV} -m 1G,slots=2,maxmem=8G`)).toThrow(
      problem('split-ram-hotplug', 'maxmem'),
    );
  });

  it('keeps off the slots that the command line names', () => {
    const { words } = split('1GiB+1GiB', `${RISCV} -device nvme,addr=1f.0 -device {"driver":"nvme","addr":"1e"}`);
    expect(words).toContain('addr=1d.1');
  });

  it('has a function for each power of two', () => {
    const { hidden } = split('1GiB+3GiB@0x440000000+1025MiB', RISCV);
    expect(hidden?.parts.map(({ pieces }) => pieces.map(({ size, offset }) => [size / MiB, offset / MiB]))).toEqual([
      [
        [1024n, 0n],
        [2048n, 1024n],
      ],
      [
        [1024n, 0n],
        [1n, 1024n],
      ],
    ]);
    const slots = hidden?.parts.flatMap(({ pieces }) => pieces.map(({ slot }) => `${slot.device}.${slot.fn}`));
    expect(slots).toEqual(['31.1', '31.2', '31.3', '31.4']);
  });

  it('asks for memory as the board’s own is', () => {
    expect(split('1GiB+4GiB', `${RISCV} -mem-path /tmp`).words).toContain(
      'memory-backend-file,id=pinbar-ram0-memory,size=4G,mem-path=/tmp',
    );
    const own = `${RISCV},memory-backend=m -object memory-backend-memfd,id=m,size=1G,share=on,hugetlb=on`;
    expect(split('1GiB+4GiB', own).words).toContain(
      '-object memory-backend-memfd,share=on,hugetlb=on,id=pinbar-ram0-memory,size=4G',
    );
    expect(() => split('2GiB+4GiB', own)).toThrow(problem('split-ram-backend', 'it has 1G'));
    expect(() => split('1GiB+4GiB', `${RISCV},memory-backend=m`)).toThrow(problem('split-ram-backend', 'no -object'));
    expect(() =>
      split('1GiB+4GiB', `${RISCV},memory-backend=m -object memory-backend-file,id=m,size=1G,mem-path=/x`),
    ).toThrow(problem('split-ram-backend', 'one piece of memory'));
    expect(() => split('1GiB+4GiB', `${RISCV} -mem-path /dev/null`)).toThrow(problem('split-ram-backend', 'no'));
  });

  it('has no more pieces than there are functions', () => {
    const odd = Array.from({ length: 30 }, () => '524287MiB').join('+');
    expect(() => pieced(parseSplitRam(`1GiB+${odd}`), new Set())).toThrow(problem('split-ram-pieces', 'power of two'));
  });
});

describe('RAM in parts on a PC', () => {
  it('is what max-ram-below-4g does', () => {
    expect(split('1GiB+3GiB', `${PC} -m 2G`).words).toBe(`${PC} -m 4G -machine max-ram-below-4g=1G`);
    expect(split('1GiB+3GiB@0x100000000', PC).hidden).toBeUndefined();
  });

  it.each([
    ['1GiB+3GiB@0x200000000', 'and nowhere else'],
    ['1GiB+1GiB+1GiB', 'and nowhere else'],
    ['3GiB+3GiB', 'no more than 2 GiB of it below 4 GiB'],
  ])('%s is refused', (text, what) => {
    expect(() => split(text, PC)).toThrow(problem('split-ram-impossible', what));
  });
});

describe('pieces', () => {
  it('cover the part without a gap, each a power of two at a multiple of itself', () =>
    fc.assert(
      fc.property(fc.bigInt(0n, 1n << 20n), fc.bigInt(1n, 1n << 20n), (base, size) => {
        const pieces = naturalPieces(base * MiB, size * MiB);
        let at = base * MiB;
        for (const piece of pieces) {
          expect(piece & (piece - 1n)).toBe(0n);
          expect(at % piece).toBe(0n);
          at += piece;
        }
        expect(at).toBe((base + size) * MiB);
        expect(pieces.length).toBeLessThanOrEqual(2 * 21);
      }),
    ));
});

describe('memory that the host does not have', () => {
  it('is said before the guest starts', () => {
    const host = { all: 24n * GiB, available: 3n * GiB };
    expect(shortage(3n * GiB, host)).toBeUndefined();
    expect(shortage(4n * GiB, host)).toContain('the guest has 4 GiB of RAM, and this host 3 GiB to give');
  });
});
