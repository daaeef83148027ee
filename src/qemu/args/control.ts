import { hasOption, valuesOf, type QemuArgument, type QemuCommandLine } from './command-line.js';
import { isJson, parseJsonObject } from './json-object.js';
import { lastValue, parseKeyValues } from './key-values.js';

/** A monitor or QMP server that the user asked for. */
export interface MonitorOption {
  readonly argument: QemuArgument;
  readonly kind: 'qmp' | 'qmp-pretty' | 'monitor' | 'mon';
  readonly value: string;
}

export interface CharacterDevice {
  readonly argument: QemuArgument;
  readonly backend: string;
  readonly id: string | undefined;
  readonly properties: ReadonlyMap<string, string>;
}

/** What QEMU does at an event, where the user said so: -action, -no-reboot, -no-shutdown, -watchdog-action; the last counts. */
export interface EventActions {
  readonly reboot?: string;
  readonly shutdown?: string;
  readonly panic?: string;
  readonly watchdog?: string;
}

/** The options that say how QEMU itself runs and who controls it. */
export interface QemuControl {
  /** -S */
  readonly paused: boolean;
  readonly preconfig: boolean;
  readonly daemonize: boolean;
  readonly snapshot: boolean;
  readonly nodefaults: boolean;
  readonly nographic: boolean;
  readonly onlyMigratable: boolean;
  readonly actions: EventActions;
  readonly noReboot: boolean;
  readonly noShutdown: boolean;
  readonly incoming: string | undefined;
  readonly loadvm: string | undefined;
  readonly qtest: string | undefined;
  /** -gdb; `tcp::1234` for -s. */
  readonly gdb: string | undefined;
  readonly display: string | undefined;
  readonly sandbox: string | undefined;
  readonly pidfile: string | undefined;
  /** -runas, or user= of -run-with. */
  readonly runAs: string | undefined;
  /** -chroot, or chroot= of -run-with. */
  readonly chroot: string | undefined;
  readonly monitors: readonly MonitorOption[];
  /** Arguments of -serial. */
  readonly serials: readonly string[];
  readonly characterDevices: readonly CharacterDevice[];
  /** Files of -readconfig: what they define is not known. */
  readonly readconfig: readonly string[];
  /** Whether a monitor, serial port, character device or -nographic is bound to standard input and output. */
  readonly usesStdio: boolean;
  /** Options that neither QEMU 7.2 nor 10.0 has. */
  readonly unknown: readonly QemuArgument[];
  /** QEMU would print help, its version or a device tree, and end. */
  readonly printsAndEnds: QemuArgument | undefined;
}

const monitorKinds = ['qmp', 'qmp-pretty', 'monitor', 'mon'] as const;

/** What the command line says of QEMU's running. Throws Problem `qemu-json`. */
export function controlOf(command: QemuCommandLine): QemuControl {
  const last = (option: string) => valuesOf(command, option).at(-1)?.value;
  const runWith = valuesOf(command, 'run-with').flatMap(({ value }) => parseKeyValues(value));
  const serials = valuesOf(command, 'serial').map(({ value }) => value);
  const monitors = monitorsOf(command);
  const characterDevices = characterDevicesOf(command);
  const nographic = hasOption(command, 'nographic');
  return {
    paused: hasOption(command, 'S'),
    preconfig: hasOption(command, 'preconfig'),
    daemonize: hasOption(command, 'daemonize'),
    snapshot: hasOption(command, 'snapshot'),
    nodefaults: hasOption(command, 'nodefaults'),
    nographic,
    onlyMigratable: hasOption(command, 'only-migratable'),
    actions: actionsOf(command),
    noReboot: hasOption(command, 'no-reboot'),
    noShutdown: hasOption(command, 'no-shutdown'),
    incoming: last('incoming'),
    loadvm: last('loadvm'),
    qtest: last('qtest'),
    gdb:
      command.arguments.findLast(({ option }) => option === 's' || option === 'gdb')?.value ??
      (hasOption(command, 's') ? 'tcp::1234' : undefined),
    display: last('display'),
    sandbox: last('sandbox'),
    pidfile: last('pidfile'),
    runAs: last('runas') ?? lastValue(runWith, 'user'),
    chroot: last('chroot') ?? lastValue(runWith, 'chroot'),
    monitors,
    serials,
    characterDevices,
    readconfig: valuesOf(command, 'readconfig').map(({ value }) => value),
    usesStdio:
      nographic ||
      [...serials, ...monitors.map(({ value }) => value)].some((value) => /^(?:mon:)?stdio(?:,|$)/.test(value)) ||
      characterDevices.some(({ backend }) => backend === 'stdio'),
    unknown: command.arguments.filter(({ known }) => !known),
    printsAndEnds: command.arguments.find(printsAndEnds),
  };
}

function monitorsOf(command: QemuCommandLine): MonitorOption[] {
  return valuesOf(command, ...monitorKinds).flatMap(({ argument, value }) => {
    const kind = monitorKinds.find((option) => option === argument.option);
    return kind ? [{ argument, kind, value }] : [];
  });
}

function characterDevicesOf(command: QemuCommandLine): CharacterDevice[] {
  return valuesOf(command, 'chardev').map(({ argument, value }) => {
    const pairs = isJson(value) ? parseJsonObject(value, '-chardev') : parseKeyValues(value, 'backend');
    const properties = new Map(pairs.map((pair) => [pair.key, pair.value]));
    return { argument, backend: properties.get('backend') ?? '', id: properties.get('id'), properties };
  });
}

function actionsOf(command: QemuCommandLine): EventActions {
  const actions: Record<string, string> = {};
  for (const { option, value } of command.arguments) {
    if (option === 'no-reboot') actions['reboot'] = 'shutdown';
    else if (option === 'no-shutdown') actions['shutdown'] = 'pause';
    else if (option === 'watchdog-action' && value !== undefined) actions['watchdog'] = value;
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
