import { parseSize } from '../../address/format.js';
import { parseDevices } from '../../import/machine/chosen.js';
import { guestMachine, type GuestMachine } from '../../import/machine/guest-machine.js';
import { boards } from '../../machine/boards/boards.js';
import type { Board } from '../../machine/boards/board.js';
import { machineFileText } from '../../machine/save.js';
import { formatBdf } from '../../pci/bdf.js';
import { nearest } from '../../problem/nearest.js';
import { Problem } from '../../problem/problem.js';
import type { Io } from '../io.js';
import { readCapture } from '../read-capture.js';
import type { ImportFlags } from './flags.js';
import { writeMachine } from './write-machine.js';

/** `pinbar import --devices`: the machine file of a guest with devices of the host. */
export async function importDevices(
  flags: ImportFlags,
  devices: string,
  files: readonly string[],
  io: Io,
): Promise<number> {
  if (flags.anonymous) {
    throw new Problem('usage', '--anonymous is about captures, and a machine file was asked for', {
      hint: 'a machine file holds no serial numbers; leave --anonymous out',
    });
  }
  const chosen = parseDevices(devices);
  const options = {
    devices: chosen,
    mirror: flags.mirror,
    ...(flags.board === undefined ? {} : { board: boardNamed(flags.board) }),
    ...(flags.ram === undefined ? {} : { ram: parseSize(flags.ram) }),
  };
  const capture = await readCapture(files, io);
  const guest = guestMachine(capture, options);
  const how = flags.mirror ? 'ports and addresses as on the host' : 'each behind a root port of its own';
  const text = machineFileText(guest.file, {
    header: [`A guest with ${chosen.map(formatBdf).join(', ')} of the host, ${how}.`],
    comments: commentsOf(guest),
  });
  return writeMachine(flags.out, { text, machine: guest.machine, notes: guest.notes }, io);
}

/** Beside each function of the guest, the host's. */
const commentsOf = ({ hosts }: GuestMachine): Map<string, string> =>
  new Map(
    [...hosts].map(([id, { address, title }]) => [
      id,
      [formatBdf(address), title?.slice(0, 80)].filter(Boolean).join(' '),
    ]),
  );

function boardNamed(name: string): Board {
  const found = boards.find(({ id }) => id === name);
  if (found) return found;
  const ids = boards.map(({ id }) => id);
  const close = boards.filter((board) => board.name === name || board.arch === name).map(({ id }) => id);
  const hints = close.length > 0 ? close : nearest(name, ids);
  throw new Problem('board-unknown', `pinbar does not know a board ${name.slice(0, 60)}`, {
    hint: hints.length > 0 ? `did you mean ${hints.join(' or ')}?` : `it knows ${ids.join(', ')}`,
  });
}
