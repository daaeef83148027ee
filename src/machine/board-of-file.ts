import { ascending } from '../address/align.js';
import { Problem } from '../problem/problem.js';
import type { Board, BoardMap, BoardOptions } from './boards/board.js';
import { boards, findBoard } from './boards/boards.js';
import { wrongProperties } from './boards/properties.js';
import type { Complain } from './complain.js';
import type { Machine } from './model.js';
import type { MachineFile } from './schema.js';

/** The map of the board that a machine file names; undefined where it is not known, with a complaint unless the file says all. */
export function boardOfFile(
  file: MachineFile,
  properties: Machine['properties'],
  complain: Complain,
): BoardMap | undefined {
  const { arch, board: name, ram, qemu, physicalAddressBits } = file.machine;
  if (name === 'none') return undefined;
  const board = findBoard(name, arch);
  const described = file.hostBridges.length > 0 && file.hostBridges.every((bridge) => bridge.windows);
  if (!board) {
    // A board that pinbar does not know is no hindrance where the file says everything itself.
    if (described && Array.isArray(ram)) return undefined;
    const known = boards.map((one) => `${one.name} (${one.arch})`).join(', ');
    complain(
      ['machine', 'board'],
      `pinbar does not know the memory map of board ${name} for ${arch}`,
      `known: ${known}; for any other, give machine.ram as a list of { base, size } and windows of each host bridge`,
    );
    return undefined;
  }
  const wrong = wrongProperties(board, properties, qemu);
  for (const { property, message, hint } of wrong) complain(['machine', 'properties', property], message, hint);
  if (wrong.length > 0) return undefined;
  const options = { properties, physicalAddressBits, qemu };
  try {
    const own = Array.isArray(ram) ? ownRam(board, ram, options) : (ram ?? 0n);
    if (own > 0n) return board.map({ ...options, ram: own });
    complain(['machine', 'ram'], `board ${name} needs to know how much RAM there is`, 'set machine.ram, such as 4GiB');
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const { property } = error.facts;
    const path = typeof property === 'string' ? ['properties', property] : ['ram'];
    complain(['machine', ...path], `board ${name} cannot have this map: ${error.message}`, error.hint);
  }
  return undefined;
}

/**
 * How much of a list of RAM is the board's own: what `-m` would have to say for its windows to lie where they do. RAM that
 * begins in the 64-bit window has been put there (`--split-ram`); a hole below belongs to the board, as in a QEMU whose
 * board splits its RAM. 0 where the list is empty.
 */
function ownRam(
  board: Board,
  list: readonly { readonly base: bigint; readonly size: bigint }[],
  options: Omit<BoardOptions, 'ram'>,
): bigint {
  const all = list.reduce((sum, { size }) => sum + size, 0n);
  const sorted = list.toSorted((a, b) => ascending(a.base, b.base));
  const [first] = sorted;
  if (!first || first.size === 0n) return all;
  const { ram, hostBridge } = board.map({ ...options, ram: first.size });
  if (ram.length !== 1 || ram[0]?.base !== first.base) return all;
  const high = hostBridge.windows.find(({ type }) => type === 'mem64');
  const own = sorted.filter(({ base }) => high === undefined || base < high.cpuBase).at(-1) ?? first;
  return own.base + own.size - first.base;
}
