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

/** Whether both have the same windows, in any order. */
export const sameWindows = (a: readonly HostWindow[], b: readonly HostWindow[]): boolean =>
  a.length === b.length &&
  a.every(({ type, base, size, cpuBase }) =>
    b.some((other) => other.type === type && other.base === base && other.size === size && other.cpuBase === cpuBase),
  );
