import type { QemuCommand } from '../../import/log/command-line.js';
import { machineOfQemu } from '../../import/machine/qemu.js';
import { bdfKey } from '../../import/observation.js';
import type { Machine, MachineFunction } from '../../machine/model.js';
import { formatSlot, parseBdf } from '../../pci/bdf.js';
import { Problem, Problems } from '../../problem/problem.js';
import type { Evidence } from '../evidence.js';
import type { LoggedBoot, ToldMachine } from './logged-boot.js';
import { machineOf } from './logged-machine.js';

/** Commands that are tried. */
const MOST_COMMANDS = 4;

/**
 * The boot with what QEMU's arguments say of its machine: which ports are hot-plug capable, what they are told to reserve. The
 * command has to have the same bridges, each in its place.
 */
export function withTold(boot: LoggedBoot, { commands }: Evidence): LoggedBoot {
  if (commands.length === 0) return boot;
  const built = machineOf(boot, { hotplug: () => 'none', addressBits: undefined });
  if ('open' in built) return boot;
  const shown = bridgesOf(built.machine);
  for (const command of commands.slice(0, MOST_COMMANDS)) {
    const machine = read(command);
    if (machine?.arch !== boot.arch) continue;
    const told = bridgesOf(machine);
    if (told.size !== shown.size || [...told.keys()].some((path) => !shown.has(path))) continue;
    const bridges: ToldMachine['bridges'] = new Map(
      [...told].flatMap(([path, { bridge }]) => {
        const at = shown.get(path);
        return at && bridge ? [[bdfKey(parseBdf(at.id)), bridge] as const] : [];
      }),
    );
    return { ...boot, told: { bridges, addressBits: machine.physicalAddressBits } };
  }
  return boot;
}

function read({ lines }: QemuCommand): Machine | undefined {
  const text = lines.map((line) => line.text.trim().replace(/\\$/, ' ')).join(' ');
  try {
    return machineOfQemu(text.replace(/^[$#] /, '')).machine;
  } catch (error) {
    // What people paste is often cut, or names what pinbar does not know.
    if (error instanceof Problem || error instanceof Problems) return undefined;
    throw error;
  }
}

/** Bridges by root bus and the slots down to them. */
function bridgesOf(machine: Machine): Map<string, MachineFunction> {
  const found = new Map<string, MachineFunction>();
  const visit = (functions: readonly MachineFunction[], above: string) => {
    for (const fn of functions) {
      if (!fn.bridge) continue;
      const path = `${above}/${formatSlot(fn.slot)}`;
      found.set(path, fn);
      visit(fn.bridge.functions, path);
    }
  };
  for (const { buses, functions } of machine.hostBridges) visit(functions, String(buses[0]));
  return found;
}
