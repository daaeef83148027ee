import { Problem } from '../problem/problem.js';
import type { BoardMap } from './boards/board.js';
import { findBoard } from './boards/boards.js';
import type { HostWindow, Machine } from './model.js';

/**
 * The map that a machine's board has with these properties and so much RAM (left out: the machine's own). Null where the
 * board is not known, or cannot be like that.
 */
export function boardMapOf(
  machine: Machine,
  {
    properties = machine.properties,
    ram = totalRam(machine),
  }: Partial<Pick<Machine, 'properties'> & { readonly ram: bigint }> = {},
): BoardMap | null {
  const { physicalAddressBits, qemu } = machine;
  try {
    return findBoard(machine.board, machine.arch)?.map({ ram, properties, physicalAddressBits, qemu }) ?? null;
  } catch (error) {
    if (error instanceof Problem || error instanceof RangeError) return null;
    throw error;
  }
}

export const totalRam = ({ ram }: Machine): bigint => ram.reduce((sum, { size }) => sum + size, 0n);

/** The windows that a board implies, with what the address bits rule out: nothing can be placed there, and that can be said. */
export const impliedWindows = ({ hostBridge }: Pick<BoardMap, 'hostBridge'>): readonly HostWindow[] => [
  ...hostBridge.windows,
  ...(hostBridge.beyondAddressBits ?? []),
];

/** These windows with the memory windows of a board instead of their own. The ports stay: no property of a board moves them. */
export const withBoardMemory = (windows: readonly HostWindow[], map: BoardMap): HostWindow[] => [
  ...windows.filter(({ type }) => type === 'io'),
  ...memoryWindows(impliedWindows(map)),
];

/** Whether the memory windows are those of the board, in any order. Of its I/O window a part may be left alone. */
export function areOfBoard(windows: readonly HostWindow[], map: BoardMap): boolean {
  const own = memoryWindows(windows);
  const implied = memoryWindows(impliedWindows(map));
  return (
    own.length === implied.length &&
    own.every(({ type, base, size, cpuBase }) =>
      implied.some((one) => one.type === type && one.base === base && one.size === size && one.cpuBase === cpuBase),
    )
  );
}

const memoryWindows = (windows: readonly HostWindow[]): HostWindow[] => windows.filter(({ type }) => type !== 'io');
