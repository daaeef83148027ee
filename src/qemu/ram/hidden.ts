import { alignUp, ascending } from '../../address/align.js';
import { formatSize } from '../../address/format.js';
import type { BusAddress } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import { RangeSet } from '../../address/range-set.js';
import type { HostWindow } from '../../machine/model.js';
import { formatBdf, type Bdf } from '../../pci/bdf.js';
import { readOp, writeOp, type ConfigAccess } from '../../pci/config-access.js';
import { Exit, Problem } from '../../problem/problem.js';
import { flatView } from '../machines/flat-view.js';
import type { HiddenRam, PiecedPart, RamPiece } from './pieces.js';

/** A piece of hidden RAM and where it is to be. */
export interface PlacedPiece extends RamPiece {
  readonly at: Bdf;
  readonly range: AddressRange;
  /** What its BAR holds then. */
  readonly address: BusAddress;
}

/** What RAM may not lie on: CPU addresses, and what is there. */
export interface Occupied {
  readonly range: AddressRange;
  /** `--pin dev0=bar2@0x…`, or why the range is reserved. */
  readonly what: string;
}

/**
 * Where each part goes: where it was asked for, else the lowest place in the host bridge's 64-bit window that keeps off
 * `occupied`.
 * @throws Problem `split-ram-nowhere`, `split-ram-overlap`, exit 1; `split-ram-conflict`, exit 2
 */
export function placeRam(
  hidden: HiddenRam,
  host: { readonly segment: number; readonly firstBus: number; readonly windows: readonly HostWindow[] },
  occupied: readonly Occupied[],
): PlacedPiece[] {
  const avoid = occupied.map(({ range }) => range);
  const windows = host.windows.filter(({ type }) => type !== 'io');
  const taken: AddressRange[] = [];
  return hidden.parts.flatMap((part) => {
    const range =
      part.base === undefined
        ? lowestFor(part, windows, [...taken, ...avoid])
        : AddressRange.sized(part.base, part.size);
    const window = range && windows.find(({ cpuBase, size }) => AddressRange.sized(cpuBase, size).covers(range));
    if (!range || !window) throw nowhere(hidden, part, windows, avoid);
    refuseOverlap(hidden, range, taken, occupied);
    taken.push(range);
    return part.pieces.map((piece): PlacedPiece => {
      const own = AddressRange.sized(range.base + piece.offset, piece.size);
      const address = own.base - window.cpuBase + window.base;
      return { ...piece, at: { segment: host.segment, bus: host.firstBus, ...piece.slot }, range: own, address };
    });
  });
}

function refuseOverlap(
  { asked: { source } }: HiddenRam,
  range: AddressRange,
  taken: readonly AddressRange[],
  occupied: readonly Occupied[],
): void {
  const other = taken.find((one) => one.overlaps(range));
  if (other) {
    throw new Problem('split-ram-overlap', `${source}: two parts overlap, ${other.toString()} and ${range.toString()}`);
  }
  const met = occupied.find((one) => one.range.overlaps(range));
  if (!met) return;
  throw new Problem('split-ram-conflict', `${source}: RAM at ${range.toString()} would lie on ${met.what}`, {
    exit: Exit.noPlan,
    hint: 'leave @ADDRESS out, and pinbar finds a place that is free',
    facts: { ram: range.toString(), met: met.range.toString() },
  });
}

function lowestFor(
  { size, alignment }: PiecedPart,
  windows: readonly HostWindow[],
  taken: readonly AddressRange[],
): AddressRange | undefined {
  const high = windows.filter(({ type }) => type === 'mem64').map((one) => AddressRange.sized(one.cpuBase, one.size));
  for (const free of RangeSet.of(high).subtract(taken)) {
    const base = alignUp(free.base, alignment);
    if (base + size - 1n <= free.limit) return AddressRange.sized(base, size);
  }
  return undefined;
}

function nowhere(
  { asked: { source } }: HiddenRam,
  { base, size }: PiecedPart,
  windows: readonly HostWindow[],
  avoid: readonly AddressRange[],
): Problem {
  const list = windows.map(({ cpuBase, size: bytes }) => AddressRange.sized(cpuBase, bytes).toString()).join(' and ');
  const has = `this machine's host bridge has ${list}`;
  const hint =
    'RAM beside the first part is the memory of PCI functions, so it lies in a memory window of the host bridge: pinbar boards draws them; the 64-bit one moves with the amount of RAM, and on aarch64 with highmem-mmio-size, the CPU’s address bits permitting';
  if (base !== undefined) {
    const where = AddressRange.sized(base, size).toString();
    return new Problem('split-ram-nowhere', `${source}: ${where} lies in no memory window: ${has}`, { hint });
  }
  const off = avoid.length > 0 ? `, less ${avoid.length} ranges that are reserved or pinned` : '';
  const what = windows.some(({ type }) => type === 'mem64')
    ? `no 64-bit window has ${formatSize(size)} free: ${has}${off}`
    : `there is no 64-bit window, which is where ${formatSize(size)} could be: ${has}`;
  return new Problem('split-ram-nowhere', `${source}: ${what}`, { hint });
}

/** Vendor 0x1af4, device 0x1110: ivshmem (docs/specs/ivshmem-spec.txt). BAR 2, 64-bit and prefetchable, is its memory. */
const IVSHMEM = 0x1110_1af4;
const COMMAND = 0x04;
const MEMORY_DECODING = 0x0002;
const BAR = 0x10;
const MEMORY_BAR = 2;

/**
 * Finds the functions where they were put, with nothing before them in their slots: a guest that finds function 0 would
 * find them, too, and switch its own RAM off to learn the BAR's size.
 * @throws Problem `split-ram-…`, exit 1 or 3
 */
export async function findRam(access: ConfigAccess, pieces: readonly PlacedPiece[]): Promise<void> {
  const answers = await access.batch(
    pieces.flatMap(({ at }) => [readOp({ ...at, fn: 0 }, 0, 4), readOp(at, 0, 4), readOp(at, BAR + 4 * MEMORY_BAR, 4)]),
  );
  pieces.forEach(({ id, at }, i) => {
    const [zero = 0, own = 0, bar = 0] = answers.slice(3 * i);
    if (zero !== 0xffff_ffff) {
      throw new Problem(
        'split-ram-seen',
        `there is a device at ${formatBdf({ ...at, fn: 0 })}, so the guest would find ${id} at ${formatBdf(at)}, which is to be its RAM`,
        { hint: 'give the devices on pcie.0 an addr below 10' },
      );
    }
    if (own === IVSHMEM && (bar & 0xf) === 0xc) return;
    throw new Problem('split-ram-device', `${formatBdf(at)} is not the ivshmem function ${id} that was asked for`, {
      exit: Exit.outside,
      facts: { own, bar },
    });
  });
}

/** Maps the RAM. Its registers (BAR 0) are put where QEMU decodes nothing: at the last bytes below 4 GiB. */
export async function mapRam(access: ConfigAccess, pieces: readonly PlacedPiece[]): Promise<void> {
  await access.batch(
    pieces.flatMap(({ at, address }) => [
      writeOp(at, BAR, 4, 0xffff_ffff),
      writeOp(at, BAR + 4 * MEMORY_BAR, 4, Number(address & 0xffff_ffffn)),
      writeOp(at, BAR + 4 * MEMORY_BAR + 4, 4, Number(address >> 32n)),
      writeOp(at, COMMAND, 2, MEMORY_DECODING),
    ]),
  );
}

/**
 * Whether QEMU's memory system has RAM there, all of it and nothing before it.
 * @param mtree `info mtree -f`
 * @throws Problem `split-ram-not-mapped`, exit 3
 */
export function requireRam(mtree: string, pieces: readonly PlacedPiece[]): void {
  const view = flatView(mtree, 'memory').filter(({ kind }) => kind === 'ram');
  const missing = pieces.find(
    ({ id, range }) => !view.some((one) => one.name === `${id}-memory` && one.range.equals(range)),
  );
  if (!missing) return;
  const there = view.map(({ name, range }) => `${name} ${range.toString()}`).sort();
  throw new Problem(
    'split-ram-not-mapped',
    `${missing.id} was mapped at ${missing.range.toString()}, and QEMU has no RAM there`,
    { exit: Exit.outside, hint: 'please report this with the QEMU command line', facts: { there } },
  );
}

/** The pieces as RAM: joined, in ascending order. */
export const rangesOf = (pieces: readonly PlacedPiece[]): readonly AddressRange[] =>
  RangeSet.of(pieces.map(({ range }) => range)).ranges.toSorted((a, b) => ascending(a.base, b.base));
