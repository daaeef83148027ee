import { formatQemuSize, parseSize } from '../../address/format.js';
import { GiB } from '../../address/kinds.js';
import type { Capture } from '../../import/capture/model.js';
import { parseDevices } from '../../import/machine/chosen.js';
import { guestMachine } from '../../import/machine/guest-machine.js';
import { findBoard } from '../../machine/boards/boards.js';
import type { Machine } from '../../machine/model.js';
import { formatBdf, type Bdf } from '../../pci/bdf.js';
import { Problem } from '../../problem/problem.js';
import { appendArgs, formatQemuArgs, parseQemuArgs, type QemuCommandLine } from '../../qemu/args/command-line.js';
import { machineOf, memoryOf } from '../../qemu/args/machine.js';
import { machineTypeOf } from '../../qemu/machines/machine-type.js';
import { parseAddition } from '../../twin/additions.js';
import { parseLateRule } from '../../twin/late.js';
import { parseMemory, parseRegionRule } from '../../twin/rules.js';
import { serveTwins, type Twins } from '../../twin/serve.js';
import { twinArguments } from '../../twin/qemu-arguments.js';
import type { Io } from '../io.js';
import { readCapture } from '../read-capture.js';
import { passableFunctions } from '../twin-functions.js';
import type { RunFlags } from './flags.js';

/** A QEMU command line with twins in it, and the machine that it is to become. */
export interface WithTwins {
  readonly argv: readonly string[];
  readonly machineFile: { readonly machine: Machine; readonly name: string };
  readonly twins: Twins;
}

/**
 * `pinbar run --twin`: serves the captured functions, and adds to the command line the host's ports and switches with them behind,
 * every BAR to be pinned at its host address.
 * @throws Problem as serveTwins, guestMachine and machineTypeOf do
 */
export async function withTwins(
  capturePath: string,
  flags: Pick<RunFlags, 'devices' | 'region' | 'absent' | 'add' | 'twinMemory'>,
  argv: readonly string[],
  io: Io,
  notice: (text: string) => void,
): Promise<WithTwins> {
  const rules = (flags.region ?? []).map(parseRegionRule);
  const late = (flags.absent ?? []).map(parseLateRule);
  const additions = (flags.add ?? []).map(parseAddition);
  const memory = parseMemory(flags.twinMemory);
  const command = parseQemuArgs(argv);
  const capture = await readCapture([capturePath], io);
  const devices = flags.devices === undefined ? passable(capture) : parseDevices(flags.devices);
  const guest = guestMachine(capture, { devices, mirror: true, ...boardOf(command) });
  for (const note of guest.notes) notice(note);
  const served = [...guest.hosts].filter(([, fn]) => !fn.buses && (fn.headerType ?? 0) === 0);
  const twins = await serveTwins(
    served.map(([, fn]) => fn),
    { rules, late, additions, memory, notice },
  );
  const sockets = new Map(served.flatMap(([id], i) => (twins.list[i] ? [[id, twins.list[i].socket] as const] : [])));
  const lateIds = new Set(
    served.flatMap(([id, fn]) => (late.some(({ at }) => formatBdf(at) === formatBdf(fn.address)) ? [id] : [])),
  );
  const words = [...windowSize(command, guest.machine), ...twinArguments(guest.machine, sockets, lateIds)];
  return {
    argv: formatQemuArgs(appendArgs(command, words)),
    machineFile: { machine: guest.machine, name: capturePath },
    twins,
  };
}

const passable = (capture: Capture): Bdf[] => passableFunctions(capture).map(({ address }) => address);

/** The board and the RAM that the command line asks for: the windows lie by them. */
function boardOf(command: QemuCommandLine) {
  const { arch, board } = machineTypeOf(command);
  const known = findBoard(board, arch);
  if (!known) throw new Problem('machine-unsupported', `pinbar does not know the map of ${board} for ${arch}`);
  const { size, maximum } = memoryOf(command);
  return { board: known, ram: maximum ?? size ?? GiB };
}

/** The 64-bit window that holds the host's addresses, unless the command line has one of its own. */
function windowSize(command: QemuCommandLine, { properties }: Machine): string[] {
  const size = properties['highmem-mmio-size'];
  if (size === undefined || machineOf(command).properties.has('highmem-mmio-size')) return [];
  return ['-machine', `highmem-mmio-size=${formatQemuSize(parseSize(String(size)))}`];
}
