import { minOf } from '../../address/align.js';
import type { CpuAddress, Size } from '../../address/kinds.js';
import { Problem } from '../../problem/problem.js';
import type { Slot } from '../../pci/bdf.js';
import type { RamPart, SplitRam } from '../args/split-ram.js';

/** A piece of RAM that is the BAR of a function which nothing finds. A BAR's size is a power of two. */
export interface RamPiece {
  /** The device's id; its memory backend has the same with `-memory` behind it. */
  readonly id: string;
  /** A function above 0 in a slot of the root bus whose function 0 is absent: software stops at function 0 there. */
  readonly slot: Slot;
  readonly size: Size;
  /** Bytes from the part's base. */
  readonly offset: Size;
}

/** A part in pieces: from `base`, or from any multiple of `alignment`. */
export interface PiecedPart extends RamPart {
  readonly alignment: Size;
  readonly pieces: readonly RamPiece[];
}

/** What `--split-ram` comes to on a board that cannot split its RAM itself. */
export interface HiddenRam {
  readonly asked: SplitRam;
  readonly parts: readonly PiecedPart[];
}

const FUNCTIONS = 8;
const DEVICES = 32;
/** So many slots are left to what the user puts on the root bus without saying where: QEMU fills it from below. */
const LEFT_FREE = 16;

/**
 * Parts as naturally aligned powers of two, each with a function of its own: from the root bus's last slot downwards.
 * @param taken device numbers that the command line names
 * @throws Problem `split-ram-pieces`, exit 1, where there are not enough functions for it
 */
export function pieced(asked: SplitRam, taken: ReadonlySet<number>): HiddenRam {
  const slots = freeSlots(taken);
  let count = 0;
  const parts = asked.high.map((part): PiecedPart => {
    const sizes = naturalPieces(part.base ?? 0n, part.size);
    let offset = 0n;
    const pieces = sizes.map((size): RamPiece => {
      const slot = slots.next();
      if (slot.done) {
        throw new Problem(
          'split-ram-pieces',
          `${asked.source}: a BAR is a power of two in size and lies at a multiple of it, and there are not enough functions for so many pieces`,
          { hint: 'use sizes with fewer bits, such as 4GiB, at addresses that are multiples of them' },
        );
      }
      const piece = { id: `pinbar-ram${count++}`, slot: slot.value, size, offset };
      offset += size;
      return piece;
    });
    return { ...part, pieces, alignment: part.base === undefined ? (sizes[0] ?? part.size) : 1n };
  });
  return { asked, parts };
}

/** `size` bytes from `base` as powers of two, each at a multiple of itself, as large as can be; in ascending order. */
export function naturalPieces(base: CpuAddress, size: Size): Size[] {
  const pieces: Size[] = [];
  let at: bigint = base;
  for (let left = size; left > 0n;) {
    const fits = 1n << BigInt(left.toString(2).length - 1);
    const piece = at === 0n ? fits : minOf(fits, at & -at);
    pieces.push(piece);
    at += piece;
    left -= piece;
  }
  return pieces;
}

function* freeSlots(taken: ReadonlySet<number>): Generator<Slot, undefined> {
  for (let device = DEVICES - 1; device >= LEFT_FREE; device--) {
    if (taken.has(device)) continue;
    for (let fn = 1; fn < FUNCTIONS; fn++) yield { device, fn };
  }
  return undefined;
}
