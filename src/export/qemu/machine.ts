import { formatQemuSize, hex, parseSize } from '../../address/format.js';
import { MiB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import { Problem } from '../../problem/problem.js';
import { areOfBoard, boardMapOf, totalRam } from '../../machine/implied.js';
import type { Machine } from '../../machine/model.js';
import { compact } from '../../machine/ram-layout.js';
import { highMmioSizeFor } from './window.js';

/** Of `-m`, where all others are of `-machine`. */
const ofMemory = ['maxmem', 'slots'];

/** The values of -machine and -m, and where QEMU's map is not the plan's. */
export interface QemuBoard {
  readonly machine: string;
  readonly memory: string;
  /** What `pinbar run --split-ram` has to say for RAM that the board does not have where the plan has it. */
  readonly splitRam: string | undefined;
  readonly notes: readonly string[];
}

/**
 * A machine's board as QEMU takes it.
 * @throws Problem `export-board` where QEMU has no such board
 */
export function qemuBoard(machine: Machine): QemuBoard {
  if (machine.board === 'none') {
    throw new Problem('export-board', 'the machine file says board: none, and QEMU has to be told a board', {
      hint: 'set machine.board: virt, q35 or pc',
    });
  }
  const entries = Object.entries(machine.properties);
  const own = entries.filter(([name]) => !ofMemory.includes(name));
  const memory = entries.filter(([name]) => ofMemory.includes(name));
  const word = ([name, value]: readonly [string, string | bigint | boolean]) => `${name}=${valueOf(value)}`;
  const extra = highMmioSizeFor(machine);
  const splitRam = splitRamFor(machine);
  return {
    machine: [machine.board, ...own.map(word), ...extra].join(','),
    memory: [formatQemuSize(totalRam(machine)), ...memory.map(word)].join(','),
    splitRam,
    notes: mapNotes(machine, splitRam),
  };
}

/** The first part is the board's own, and the others lie in its windows: what `pinbar run` can do on boards with a device tree. */
function splitRamFor(machine: Machine): string | undefined {
  const [low, ...high] = machine.ram;
  if (!low || high.length === 0 || machine.arch === 'x86_64') return undefined;
  const map = boardMapOf(machine, { ram: low.size });
  const windows = (map?.hostBridge.windows ?? [])
    .filter(({ type }) => type !== 'io')
    .map(({ cpuBase, size }) => AddressRange.sized(cpuBase, size));
  const fits =
    map?.ram[0]?.equals(low) === true &&
    high.every((range) => windows.some((window) => window.covers(range))) &&
    machine.ram.every(({ base, size }) => base % MiB === 0n && size % MiB === 0n);
  return fits
    ? [compact(low.size), ...high.map(({ base, size }) => `${compact(size)}@${hex(base)}`)].join('+')
    : undefined;
}

/** QEMU takes `64T`, not `64TiB`. */
function valueOf(value: string | bigint | boolean): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'bigint') return value < 4096n ? String(value) : formatQemuSize(value);
  return /^[0-9]+\s*[kmgtpe]i?b$/i.test(value) ? formatQemuSize(parseSize(value)) : value;
}

function mapNotes(machine: Machine, splitRam: string | undefined): string[] {
  const map = boardMapOf(machine, splitRam === undefined ? {} : { ram: machine.ram[0]?.size ?? 0n });
  if (!map) return [];
  const ranges = (list: readonly { toString(): string }[]) => list.map(String).join(', ');
  const sameRam = map.ram.length === machine.ram.length && map.ram.every((range, i) => machine.ram[i]?.equals(range));
  const [host] = machine.hostBridges;
  return [
    ...(sameRam || splitRam !== undefined
      ? []
      : [`RAM lies at ${ranges(machine.ram)} in the plan, and QEMU puts it at ${ranges(map.ram)}`]),
    // Of several root buses, each has a part of the board's windows.
    ...(host &&
    machine.hostBridges.length === 1 &&
    !areOfBoard(host.windows, map) &&
    highMmioSizeFor(machine).length === 0
      ? [`the windows of ${host.id} are not those that QEMU gives this board; pinbar boards shows them`]
      : []),
  ];
}
