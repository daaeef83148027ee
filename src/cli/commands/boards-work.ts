import { parseSize } from '../../address/format.js';
import { GiB } from '../../address/kinds.js';
import type { Board } from '../../machine/boards/board.js';
import { boards as known } from '../../machine/boards/boards.js';
import { boardsToJson, boardMapToJson } from '../../machine/boards/json.js';
import { wrongProperties } from '../../machine/boards/properties.js';
import { parseRelease } from '../../machine/boards/release.js';
import { nearest } from '../../problem/nearest.js';
import { Exit, Problem } from '../../problem/problem.js';
import { work, type Context } from '../context.js';
import { styleFor } from '../io.js';
import { renderBoard, renderBoards } from '../render/board.js';
import type { BoardsFlags } from './flags.js';

const DEFAULT_RAM = 4n * GiB;

export async function boards(this: Context, flags: BoardsFlags, name?: string): Promise<void> {
  await work(this, (io) => {
    const style = styleFor(io.stdout, io.env);
    const show = (json: unknown, text: () => string) =>
      io.stdout.write(flags.json ? `${JSON.stringify(json, null, 2)}\n` : text());
    if (name === undefined) {
      refuseMapFlags(flags);
      show(boardsToJson(known), () => renderBoards(known, style));
    } else {
      const board = find(name);
      const options = optionsOf(board, flags);
      const map = board.map(options);
      show(boardMapToJson(board, options, map), () => renderBoard(board, options, map, style, io.stdout.columns));
    }
    return Promise.resolve(Exit.done);
  });
}

function refuseMapFlags({ ram, property, qemu, addressBits }: BoardsFlags): void {
  const given = Object.entries({ ram, property, qemu, 'address-bits': addressBits }).find(
    ([, value]) => value !== undefined,
  );
  if (!given) return;
  throw new Problem('usage', `--${given[0]} says something of one board, and none is named`, {
    hint: `name one: ${known.map(({ id }) => id).join(', ')}`,
  });
}

function find(name: string): Board {
  const ids = known.map(({ id }) => id);
  const found = known.find(({ id }) => id === name);
  if (found) return found;
  const alike = known.filter((board) => board.name === name || board.arch === name).map(({ id }) => id);
  const close = alike.length > 0 ? alike : nearest(name, ids);
  throw new Problem('board-unknown', `pinbar does not know a board ${name.slice(0, 60)}`, {
    hint: close.length > 0 ? `did you mean ${close.join(' or ')}?` : `it knows ${ids.join(', ')}`,
  });
}

function optionsOf(board: Board, flags: BoardsFlags) {
  const ram = flags.ram === undefined ? DEFAULT_RAM : parseSize(flags.ram);
  if (ram <= 0n) throw new Problem('board-ram', '--ram is 0: a machine has RAM', { hint: 'give a size, such as 8GiB' });
  const properties = Object.fromEntries((flags.property ?? []).flatMap((text) => text.split(',')).map(keyAndValue));
  const qemu = flags.qemu === undefined ? undefined : parseRelease(flags.qemu);
  const [wrong] = wrongProperties(board, properties, qemu);
  if (wrong) throw new Problem('board-property', wrong.message, wrong.hint === undefined ? {} : { hint: wrong.hint });
  return { ram, properties, qemu, physicalAddressBits: addressBits(flags.addressBits) };
}

function keyAndValue(text: string): [name: string, value: string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new Problem('usage', `--property ${text.slice(0, 60)} has no name and value`, {
    hint: 'write it as -machine takes it, such as highmem-mmio-size=64T',
  });
}

function addressBits(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const bits = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (bits >= 32 && bits <= 64) return bits;
  throw new Problem('usage', `--address-bits ${text.slice(0, 20)} is not a number from 32 to 64`);
}
