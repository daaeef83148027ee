import { statSync } from 'node:fs';
import { formatQemuSize, formatSize, hex, parseSize } from '../../address/format.js';
import { FOUR_GIB, type Size } from '../../address/kinds.js';
import { findBoard } from '../../machine/boards/boards.js';
import { formatSlot } from '../../pci/bdf.js';
import { Problem } from '../../problem/problem.js';
import { appendArgs, valuesOf, type QemuCommandLine } from '../args/command-line.js';
import { devicesOf } from '../args/devices.js';
import { isJson, parseJsonObject } from '../args/json-object.js';
import { lastValue, parseKeyValues } from '../args/key-values.js';
import { machineOf, memoryOf } from '../args/machine.js';
import type { SplitRam } from '../args/split-ram.js';
import type { MachineType } from '../machines/machine-type.js';
import { pieced, type HiddenRam } from './pieces.js';

/** A command line with its RAM in parts, and what pinbar has to do for it once QEMU runs. */
export interface SplitCommand {
  readonly command: QemuCommandLine;
  readonly hidden?: HiddenRam;
}

/**
 * Gives a machine its RAM in parts: a PC splits it by itself where it is told to; on `virt` the board has the first part,
 * and each other one is the memory of ivshmem devices, which pinbar maps where it is to be and the guest does not see.
 * @throws Problem `split-ram-…`, exit 1
 */
export function splitRam(
  command: QemuCommandLine,
  machine: MachineType,
  asked: SplitRam,
  notice: (text: string) => void,
): SplitCommand {
  const total = totalOf(asked);
  const { size, maximum } = memoryOf(command);
  if (maximum !== undefined && maximum !== size) {
    throw new Problem(
      'split-ram-hotplug',
      `-m has maxmem: ${asked.source} leaves no room for memory to be plugged in`,
      { hint: 'take slots and maxmem out of -m' },
    );
  }
  if (size !== undefined && size !== total) {
    notice(`-m ${formatQemuSize(size)} is taken out: ${asked.source} says how much RAM there is, ${formatSize(total)}`);
  }
  const without = { ...command, arguments: command.arguments.filter(({ option }) => option !== 'm') };
  if (machine.board !== 'virt') {
    return { command: appendArgs(without, ['-m', formatQemuSize(total), ...pcSplit(machine, asked, total)]) };
  }
  const hidden = pieced(asked, slotsIn(command));
  const backend = backendLike(command, asked);
  const devices = hidden.parts.flatMap(({ pieces }) =>
    pieces.flatMap(({ id, slot, size: bytes }) => [
      ...['-object', backend(`${id}-memory`, bytes)],
      ...['-device', `ivshmem-plain,id=${id},memdev=${id}-memory,bus=pcie.0,addr=${formatSlot(slot)}`],
    ]),
  );
  return { command: appendArgs(without, ['-m', formatQemuSize(asked.low), ...devices]), hidden };
}

export const totalOf = ({ low, high }: SplitRam): Size => high.reduce((sum, { size }) => sum + size, low);

/** What makes a PC split its RAM there: the rest follows at 4 GiB. */
function pcSplit(machine: MachineType, asked: SplitRam, total: Size): string[] {
  const property = 'max-ram-below-4g';
  const [rest, ...more] = asked.high;
  const impossible = (why: string, hint: string) =>
    new Problem('split-ram-impossible', `${asked.source}: ${why}`, { hint, facts: { board: machine.board } });
  if (more.length > 0 || (rest?.base ?? FOUR_GIB) !== FOUR_GIB) {
    throw impossible(
      `a PC has its RAM from 0 and from ${hex(FOUR_GIB)}, and nowhere else, because that is what its firmware tells the guest`,
      'write LOW+HIGH without an address',
    );
  }
  const map = findBoard(machine.board, machine.arch)?.map({ ram: total, properties: { [property]: asked.low } });
  const below = map?.ram[0]?.size ?? 0n;
  if (below !== asked.low || map?.ram[1]?.base !== FOUR_GIB) {
    throw impossible(
      `with ${formatSize(total)} of RAM, ${machine.board} has no more than ${formatSize(below)} of it below 4 GiB`,
      `ask for ${formatSize(below)} or less as the first part`,
    );
  }
  return ['-machine', `${property}=${formatQemuSize(asked.low)}`];
}

/** Device numbers that -device names, on whatever bus. */
function slotsIn(command: QemuCommandLine): Set<number> {
  const addresses = devicesOf(command).flatMap(({ argument: { value = '' } }) =>
    (isJson(value) ? parseJsonObject(value, '-device') : parseKeyValues(value, 'driver'))
      .filter(({ key }) => key === 'addr')
      .map((pair) => pair.value),
  );
  return new Set(addresses.map((address) => parseInt(address, 16)).filter((device) => !Number.isNaN(device)));
}

/** What can be copied for another piece. A file cannot: two pieces would be the same bytes. */
const copied = new Set(['memory-backend-ram', 'memory-backend-memfd']);

/** The argument of `-object` for memory like the board's own. */
function backendLike(command: QemuCommandLine, asked: SplitRam): (id: string, size: Size) => string {
  const name = machineOf(command).properties.get('memory-backend');
  if (name !== undefined) return likeObject(command, asked, name);
  const folder = valuesOf(command, 'mem-path').at(-1)?.value;
  if (folder === undefined) return (id, size) => `memory-backend-ram,id=${id},size=${formatQemuSize(size)}`;
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Problem(
      'split-ram-backend',
      `-mem-path ${folder} is not a folder: each part of the RAM needs a file of its own`,
      { hint: 'name a folder, such as /dev/hugepages' },
    );
  }
  const path = folder.replaceAll(',', ',,');
  return (id, size) => `memory-backend-file,id=${id},size=${formatQemuSize(size)},mem-path=${path}`;
}

function likeObject(command: QemuCommandLine, asked: SplitRam, name: string): (id: string, size: Size) => string {
  const wrong = (what: string, hint: string) =>
    new Problem('split-ram-backend', `-machine memory-backend=${name}: ${what}`, { hint, facts: { name } });
  for (const { value } of valuesOf(command, 'object')) {
    if (isJson(value)) {
      if (parseJsonObject(value, '-object').some((pair) => pair.key === 'id' && pair.value === name)) {
        throw wrong(
          'pinbar copies a memory backend that is written as key=value, not as JSON',
          'write it as key=value',
        );
      }
      continue;
    }
    const pairs = parseKeyValues(value, 'qom-type');
    if (!pairs.some((pair) => pair.key === 'id' && pair.value === name)) continue;
    const type = pairs[0]?.value ?? '';
    if (!copied.has(type)) {
      throw wrong(
        `${type} is one piece of memory, and ${asked.source} needs another like it`,
        `use ${[...copied].join(' or ')}, or -mem-path FOLDER`,
      );
    }
    const bytes = lastValue(pairs, 'size') ?? '';
    if (/^\d+[kmgt]?$/i.test(bytes) && parseSize(bytes) !== asked.low) {
      throw wrong(
        `it has ${bytes}, and ${asked.source} leaves ${formatSize(asked.low)} to it`,
        `write size=${formatQemuSize(asked.low)} in -object; the other parts are made like it`,
      );
    }
    const like = pairs.filter(({ key }) => key !== 'id' && key !== 'size').map(({ text }) => text);
    return (id, size) => [...like, `id=${id}`, `size=${formatQemuSize(size)}`].join(',');
  }
  throw wrong('there is no -object with that id', 'add it, or leave memory-backend out');
}
