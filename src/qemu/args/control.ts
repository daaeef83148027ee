import { hasOption, type QemuArgument, type QemuCommandLine } from './command-line.js';
import { isJson } from './json-object.js';
import { parseKeyValues } from './key-values.js';

/** What QEMU does at an event, where the user said so: -action, -no-reboot, -no-shutdown; the last counts. */
export interface EventActions {
  readonly reboot?: string;
  readonly shutdown?: string;
  readonly panic?: string;
}

/** The options that say how QEMU itself runs and who controls it. */
export interface QemuControl {
  /** -S */
  readonly paused: boolean;
  readonly nodefaults: boolean;
  readonly nographic: boolean;
  /** Whether a monitor or QMP server is asked for: QEMU makes no monitor by itself then. */
  readonly monitor: boolean;
  readonly actions: EventActions;
  /** QEMU would print help, its version or a device tree, and end. */
  readonly printsAndEnds: QemuArgument | undefined;
}

/** What the command line says of QEMU's running. */
export function controlOf(command: QemuCommandLine): QemuControl {
  return {
    paused: hasOption(command, 'S'),
    nodefaults: hasOption(command, 'nodefaults'),
    nographic: hasOption(command, 'nographic'),
    monitor: ['mon', 'monitor', 'qmp', 'qmp-pretty'].some((option) => hasOption(command, option)),
    actions: actionsOf(command),
    printsAndEnds: command.arguments.find(printsAndEnds),
  };
}

function actionsOf(command: QemuCommandLine): EventActions {
  const actions: Record<string, string> = {};
  for (const { option, value } of command.arguments) {
    if (option === 'no-reboot') actions['reboot'] = 'shutdown';
    else if (option === 'no-shutdown') actions['shutdown'] = 'pause';
    else if (option === 'action' && value !== undefined) {
      for (const pair of parseKeyValues(value)) actions[pair.key] = pair.value;
    }
  }
  return actions;
}

function printsAndEnds({ option, value }: QemuArgument): boolean {
  if (option === 'help' || option === 'version' || option === 'audio-help') return true;
  if (value === undefined || option === null || isJson(value)) return false;
  if (option === 'machine' && /(?:^|,)dumpdtb=/.test(value)) return true;
  // `-cpu help`, `-device help`, `-device nvme,help`; of options that take a file or text, the word is a name.
  return (
    ['machine', 'cpu', 'accel', 'device', 'object', 'netdev', 'chardev', 'display', 'audiodev'].includes(option) &&
    /(?:^|,)(?:help|\?)(?:,|$)/.test(value)
  );
}
