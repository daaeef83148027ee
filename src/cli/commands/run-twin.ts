import { formatQemuSize, parseSize } from '../../address/format.js';
import { GiB } from '../../address/kinds.js';
import type { Capture, CapturedFunction } from '../../import/capture/model.js';
import { parseDevices } from '../../import/machine/chosen.js';
import { guestMachine } from '../../import/machine/guest-machine.js';
import { findBoard } from '../../machine/boards/boards.js';
import type { Machine } from '../../machine/model.js';
import { formatBdf, type Bdf } from '../../pci/bdf.js';
import { Problem } from '../../problem/problem.js';
import { appendArgs, formatQemuArgs, parseQemuArgs, type QemuCommandLine } from '../../qemu/args/command-line.js';
import { machineOf, memoryOf } from '../../qemu/args/machine.js';
import type { AwaitedFunctions } from '../../qemu/awaited.js';
import { machineTypeOf } from '../../qemu/machines/machine-type.js';
import { parseAddition } from '../../twin/additions.js';
import { pluggedTwins, type PluggedTwin } from '../../twin/hotplug.js';
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
  /** Of functions that are plugged in. */
  readonly awaited?: AwaitedFunctions;
}

/**
 * `pinbar run --twin`: serves the captured functions, and adds to the command line the host's ports and switches with them behind,
 * every BAR to be pinned at its host address.
 * @throws Problem as serveTwins, guestMachine, machineTypeOf and pluggedTwins do
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
  try {
    const sockets = new Map(served.flatMap(([id], i) => (twins.list[i] ? [[id, twins.list[i].socket] as const] : [])));
    const ruleFor = (fn: CapturedFunction) => late.find(({ at }) => formatBdf(at) === formatBdf(fn.address));
    const plugged = pluggedTwins(
      guest.machine,
      new Map(
        served.flatMap(([id, fn], i) => (twins.list[i] ? [[id, { twin: twins.list[i], rule: ruleFor(fn) }]] : [])),
      ),
    );
    const hotplug = new Set(plugged.map(({ id }) => id));
    const silent = new Set(served.flatMap(([id, fn]) => (ruleFor(fn) && !hotplug.has(id) ? [id] : [])));
    const words = [
      ...windowSize(command, guest.machine),
      ...twinArguments(guest.machine, sockets, { silent, hotplug }),
    ];
    return {
      argv: formatQemuArgs(appendArgs(command, words)),
      machineFile: { machine: guest.machine, name: capturePath },
      twins,
      ...(plugged.length > 0 ? { awaited: await awaitedFunctions(plugged, twins, served) } : {}),
    };
  } catch (error) {
    await twins.close();
    throw error;
  }
}

/** Those that are plugged in when `twins.late` says so. */
async function awaitedFunctions(
  plugged: readonly PluggedTwin[],
  { late }: Twins,
  served: readonly (readonly [string, CapturedFunction])[],
): Promise<AwaitedFunctions> {
  const { AwaitedFunctions } = await import('../../qemu/awaited.js');
  const awaited = new AwaitedFunctions(plugged);
  const ids = new Map(served.map(([id, { address }]) => [formatBdf(address), id]));
  late.plugInBy((devices) => awaited.plugIn(devices.map(({ fn }) => ids.get(formatBdf(fn.address)) ?? '')));
  return awaited;
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
