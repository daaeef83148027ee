import { formatQemuSize, parseSize } from '../../address/format.js';
import { Problem } from '../../problem/problem.js';
import { areOfBoard, boardMapOf, totalRam } from '../../machine/implied.js';
import type { Machine } from '../../machine/model.js';
import { highMmioSizeFor } from './window.js';

/** Of `-m`, where all others are of `-machine`. */
const ofMemory = ['maxmem', 'slots'];

/** The values of -machine and -m, and where QEMU's map is not the plan's. */
export interface QemuBoard {
  readonly machine: string;
  readonly memory: string;
  readonly notes: readonly string[];
}

/**
 * A machine's board as QEMU takes it.
 * @throws Problem `export-board` where QEMU has no such board, or the machine has more than one host bridge
 */
export function qemuBoard(machine: Machine): QemuBoard {
  if (machine.board === 'none') {
    throw new Problem('export-board', 'the machine file says board: none, and QEMU has to be told a board', {
      hint: 'set machine.board: virt, q35 or pc',
    });
  }
  const [, second] = machine.hostBridges;
  if (second) {
    throw new Problem('export-board', `QEMU’s boards have one host bridge, and the machine has ${second.id} as well`, {
      hint: 'put the functions of both behind one; pinbar does not write pxb-pcie',
    });
  }
  const entries = Object.entries(machine.properties);
  const own = entries.filter(([name]) => !ofMemory.includes(name));
  const memory = entries.filter(([name]) => ofMemory.includes(name));
  const word = ([name, value]: readonly [string, string | bigint | boolean]) => `${name}=${valueOf(value)}`;
  const extra = highMmioSizeFor(machine);
  return {
    machine: [machine.board, ...own.map(word), ...extra].join(','),
    memory: [formatQemuSize(totalRam(machine)), ...memory.map(word)].join(','),
    notes: mapNotes(machine),
  };
}

/** QEMU takes `64T`, not `64TiB`. */
function valueOf(value: string | bigint | boolean): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'bigint') return value < 4096n ? String(value) : formatQemuSize(value);
  return /^[0-9]+\s*[kmgtpe]i?b$/i.test(value) ? formatQemuSize(parseSize(value)) : value;
}

function mapNotes(machine: Machine): string[] {
  const map = boardMapOf(machine);
  if (!map) return [];
  const ranges = (list: readonly { toString(): string }[]) => list.map(String).join(', ');
  const sameRam = map.ram.length === machine.ram.length && map.ram.every((range, i) => machine.ram[i]?.equals(range));
  const [host] = machine.hostBridges;
  return [
    ...(sameRam
      ? []
      : [
          `RAM lies at ${ranges(machine.ram)} in the plan, and QEMU puts it at ${ranges(map.ram)}: see pinbar run --split-ram`,
        ]),
    ...(host && !areOfBoard(host.windows, map) && highMmioSizeFor(machine).length === 0
      ? [`the windows of ${host.id} are not those that QEMU gives this board; pinbar boards shows them`]
      : []),
  ];
}
