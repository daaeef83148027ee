import { GiB } from '../../address/kinds.js';
import type { Board } from '../../machine/boards/board.js';
import { boards } from '../../machine/boards/boards.js';
import { DEFAULT_HIGH_MMIO_SIZE, highMmioWindow, virtAarch64 } from '../../machine/boards/virt-aarch64.js';
import type { Arch } from '../../machine/model.js';
import { Problem } from '../../problem/problem.js';
import type { Capture } from '../capture/model.js';

const boardOfArch: Readonly<Record<Arch, string>> = { aarch64: 'virt', riscv64: 'virt', x86_64: 'q35' };

/** Vendors of root ports that are in 64-bit Arm machines alone: NVIDIA, Ampere, Marvell (Cavium), HiSilicon, Fujitsu. */
const armRootPorts = new Set([0x10de, 0x1def, 0x177d, 0x19e5, 0x10cf]);
/** Intel, AMD, Hygon, Zhaoxin: on machines with host bridges of theirs at 00:00.0. */
const pcHostBridges = new Set([0x8086, 0x1022, 0x1002, 0x1d94, 0x1d17]);

/**
 * The board of a guest on this host: its architecture's own. Listings of PCI alone do not name the architecture; then what
 * made the root ports tells it.
 * @throws Problem `board-needed` where nothing tells it
 */
export function boardFor(capture: Capture): { readonly board: Board; readonly note?: string } {
  const { arch } = capture.host;
  const own =
    arch === undefined ? undefined : boards.find((one) => one.arch === arch && one.name === boardOfArch[one.arch]);
  if (own) return { board: own };
  const told = arch === undefined ? archByPci(capture) : undefined;
  const board = told && boards.find((one) => one.arch === told && one.name === boardOfArch[told]);
  if (board) {
    return {
      board,
      note: `the capture does not name the architecture; by its root ports and host bridges it is ${told}`,
    };
  }
  throw new Problem(
    'board-needed',
    arch === undefined
      ? 'the capture does not say which architecture the host has'
      : `pinbar knows no board for guests of a host with architecture ${arch.slice(0, 40)}`,
    { hint: `say which board the guest has: --board ${boards.map(({ id }) => id).join(' | ')}`, facts: { arch } },
  );
}

function archByPci({ functions }: Capture): Arch | undefined {
  const at = (base: number, vendors: ReadonlySet<number>, isRoot: (type: string | undefined) => boolean) =>
    functions.some(
      (fn) => (fn.class ?? 0) >> 8 === base && vendors.has(fn.vendor ?? -1) && isRoot(fn.portType) && !fn.parent,
    );
  if (at(0x0600, pcHostBridges, () => true)) return 'x86_64';
  return at(0x0604, armRootPorts, (type) => type === 'root-port') ? 'aarch64' : undefined;
}

/** A range that has to lie in the 64-bit window. */
export interface Wish {
  readonly base: bigint;
  readonly size: bigint;
}

/** The sizes that `highmem-mmio-size` can have, smallest first. */
export function* highMmioSizes(): Generator<bigint> {
  for (let size = DEFAULT_HIGH_MMIO_SIZE; size < 1n << 52n; size *= 2n) yield size;
}

/**
 * The smallest `highmem-mmio-size` of the Arm board with which its 64-bit window holds all that is wished for, or else as
 * much of it as possible; null where the board has no such property.
 */
export function highMmioSizeFor(board: Board, ram: bigint, wishes: readonly Wish[]): bigint | null {
  if (board !== virtAarch64) return null;
  let best = { size: DEFAULT_HIGH_MMIO_SIZE, held: -1 };
  for (const size of highMmioSizes()) {
    const window = highMmioWindow(ram, size);
    const held = wishes.filter(
      (wish) => window.base <= wish.base && wish.base + wish.size <= window.base + window.size,
    ).length;
    if (held > best.held) best = { size, held };
  }
  return best.size;
}

export const DEFAULT_RAM = 4n * GiB;
