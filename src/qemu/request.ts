import { formatQemuSize, hex } from '../address/format.js';
import { GiB } from '../address/kinds.js';
import { AddressRange } from '../address/range.js';
import { DEFAULT_HIGH_MMIO_SIZE, highMmioWindow } from '../machine/boards/virt-aarch64.js';
import { findBoard } from '../machine/boards/boards.js';
import type { Machine } from '../machine/model.js';
import type { Pin } from '../pin/pins.js';
import type { ReserveRequest } from '../pin/reserves.js';
import { Problem } from '../problem/problem.js';
import {
  appendArgs,
  formatQemuArgs,
  hasOption,
  parseQemuArgs,
  showArgument,
  valuesOf,
  type QemuCommandLine,
} from './args/command-line.js';
import { controlOf, type QemuControl } from './args/control.js';
import { requireDeviceIds } from './args/known-ids.js';
import { machineOf, memoryOf } from './args/machine.js';
import { mergePins, toPin, type PinRequest } from './args/pins.js';
import type { SplitRam } from './args/split-ram.js';
import { takeRfc, type MmioWindow } from './args/take-rfc.js';
import { bootWith, type Firmware } from './machines/boot.js';
import { machineTypeOf, type MachineType } from './machines/machine-type.js';
import { shortage } from './ram/host.js';
import type { HiddenRam } from './ram/pieces.js';
import { splitRam, totalOf } from './ram/split.js';
import type { TransportName } from './session.js';
import { defaultActions, type Actions } from './supervise.js';

/** What a machine is to become. */
export interface Wanted {
  readonly machine: MachineType;
  /** Properties of the board that move its map, as the command line gives them. */
  readonly properties?: Machine['properties'];
  readonly pins: readonly Pin[];
  readonly reserves: readonly ReserveRequest[];
  readonly machineFile?: { readonly machine: Machine; readonly name: string };
  /** For the first search, in milliseconds. */
  readonly timeLimit?: number;
  readonly mmioWindow?: { readonly base: bigint; readonly size: bigint };
  /** RAM that is the memory of PCI functions. */
  readonly splitRam?: HiddenRam;
  /** What comes before the guest and enumerates PCI itself. */
  readonly firmware?: Firmware;
}

/** What to run, as the command line was understood. */
export interface RunRequest extends Wanted {
  /** QEMU's arguments, program first, with nothing in them that stock QEMU does not know. */
  readonly argv: readonly string[];
  /** Files without a name that QEMU inherits. */
  readonly files: readonly Uint8Array[];
  readonly transport: TransportName;
  /** The user's own `-S`: QEMU stays paused after all is programmed. */
  readonly paused: boolean;
  readonly actions: Actions;
  /** Look at the registers whenever the guest stops. */
  readonly verify: boolean;
  /** End QEMU once firmware is found to have moved what is pinned. */
  readonly strict: boolean;
}

export interface RequestOptions {
  /** `--pin`, parsed. */
  readonly pins: readonly PinRequest[];
  /** `--reserve`, parsed. */
  readonly reserves?: readonly ReserveRequest[];
  readonly machineFile?: { readonly machine: Machine; readonly name: string };
  readonly timeLimit?: number;
  /** `--split-ram`, parsed. */
  readonly splitRam?: SplitRam;
  readonly transport: TransportName;
  readonly verify: boolean;
  readonly strict?: boolean;
  /** False: pinbar's UEFI driver stays out. */
  readonly uefiDriver?: boolean;
  readonly notice: (text: string) => void;
}

/**
 * Understands a QEMU command line: takes out what stock QEMU does not know, finds what this QEMU can do instead, and
 * refuses what cannot be kept.
 * @param argv the words after `--`, program first
 * @throws Problem, exit 1, with the argument in question
 */
export function runRequest(argv: readonly string[], options: RequestOptions): RunRequest {
  const rfc = takeRfc(parseQemuArgs(argv));
  const requests = mergePins([...rfc.pins, ...options.pins]);
  requireDeviceIds(rfc.command, requests);
  const control = controlOf(rfc.command);
  refuse(rfc.command, control, options.transport);
  const machine = machineTypeOf(rfc.command);
  for (const { id } of rfc.fixedRootPorts) {
    options.notice(`fixed-bar=on of ${id} is taken out: pinbar keeps every BAR behind it, pinned or not`);
  }
  if (rfc.preEnumerate === false && requests.length > 0) {
    options.notice('pci-pre-enum=off is taken out: BARs are pinned, so pinbar enumerates');
  }
  const boot = bootWith(rfc.command, machine, control, options.uefiDriver);
  for (const notice of boot.notices) options.notice(notice);
  const { command, hidden } = options.splitRam
    ? splitRam(rfc.command, machine, options.splitRam, options.notice)
    : { command: rfc.command };
  const short = hasOwnMemory(rfc.command) ? undefined : shortage(ramOf(rfc.command, options.splitRam));
  if (short !== undefined) options.notice(short);
  const extra = [
    ...defaultMonitor(command, control),
    ...(machine.board === 'virt' && machine.arch === 'aarch64' ? highMmio(command, rfc.mmioWindow) : []),
    ...boot.extra,
  ];
  return {
    argv: formatQemuArgs(appendArgs(command, extra)),
    files: boot.files ?? [],
    transport: options.transport,
    machine,
    properties: boardProperties(command, machine),
    pins: requests.map(toPin),
    reserves: options.reserves ?? [],
    ...(options.machineFile ? { machineFile: options.machineFile } : {}),
    ...(hidden ? { splitRam: hidden } : {}),
    ...(rfc.mmioWindow ? { mmioWindow: { base: rfc.mmioWindow.base, size: rfc.mmioWindow.size } } : {}),
    ...(options.timeLimit === undefined ? {} : { timeLimit: options.timeLimit }),
    ...(boot.firmware ? { firmware: boot.firmware } : {}),
    paused: control.paused,
    actions: actionsOf(control),
    verify: options.verify,
    strict: options.strict ?? false,
  };
}

/** Machine properties that move the board's map: the rest is no matter of placement. */
function boardProperties(command: QemuCommandLine, { board, arch }: MachineType): Machine['properties'] {
  const known = new Set(findBoard(board, arch)?.properties.map(({ name }) => name));
  return Object.fromEntries([...machineOf(command).properties].filter(([name]) => known.has(name)));
}

const ramOf = (command: QemuCommandLine, split: SplitRam | undefined): bigint =>
  (split ? totalOf(split) : memoryOf(command).size) ?? 0n;

/** RAM out of files or memory backends: huge pages, for instance, are not what the host calls available. */
const hasOwnMemory = (command: QemuCommandLine): boolean =>
  hasOption(command, 'mem-path') || valuesOf(command, 'object').some(({ value }) => value.includes('memory-backend'));

interface Refusal {
  readonly option: string;
  readonly why: string;
  readonly hint: string;
  /** With this transport alone. */
  readonly transport?: TransportName;
}

const GDBSTUB = 'QEMU has one gdbstub, and with --transport gdb pinbar needs it to program the machine';
const SEMIHOSTING = 'with a gdbstub in use QEMU may send the guest’s semihosting calls there, and pinbar answers none';
const USE_QTEST = 'leave --transport gdb out: pinbar uses qtest then, which is in nobody’s way';

const refusals: readonly Refusal[] = [
  { option: 'gdb', transport: 'gdb', why: GDBSTUB, hint: USE_QTEST },
  { option: 's', transport: 'gdb', why: GDBSTUB, hint: USE_QTEST },
  { option: 'semihosting', transport: 'gdb', why: SEMIHOSTING, hint: USE_QTEST },
  { option: 'semihosting-config', transport: 'gdb', why: SEMIHOSTING, hint: USE_QTEST },
  {
    option: 'daemonize',
    why: 'pinbar programs the machine again at every reset, so it stays beside QEMU for its life, and QEMU may not leave it',
    hint: 'run pinbar itself in the background: systemd-run, or setsid pinbar run … &',
  },
  {
    option: 'incoming',
    why: 'an incoming migration brings the state of PCI devices with it, BARs included: there is nothing to pin',
    hint: 'pin on the side that the machine comes from',
  },
  {
    option: 'loadvm',
    why: 'a snapshot brings the state of PCI devices with it, BARs included: there is nothing to pin',
    hint: 'start without -loadvm; load the snapshot from the monitor afterwards',
  },
  {
    option: 'preconfig',
    why: 'there is no machine to program before its configuration is complete',
    hint: 'leave -preconfig out',
  },
  {
    option: 'qtest',
    why: 'QEMU has one qtest server, and pinbar needs it to program the machine',
    hint: 'leave -qtest out, or use --transport gdb',
    transport: 'qtest',
  },
  {
    option: 'qtest-log',
    why: 'QEMU has one qtest server, and pinbar needs it to program the machine',
    hint: 'leave -qtest-log out, or use --transport gdb',
    transport: 'qtest',
  },
];

function refuse(command: QemuCommandLine, control: QemuControl, used: TransportName): void {
  if (control.printsAndEnds) {
    throw new Problem('option-refused', `${showArgument(control.printsAndEnds)}: QEMU would print something and end`, {
      hint: 'run QEMU without pinbar for that',
      facts: { option: control.printsAndEnds.option },
    });
  }
  for (const { option, why, hint, transport } of refusals) {
    if ((transport ?? used) === used && hasOption(command, option)) {
      throw new Problem('option-refused', `-${option} cannot be used with pinbar run: ${why}`, {
        hint,
        facts: { option },
      });
    }
  }
}

function actionsOf(control: QemuControl): Actions {
  const { reboot, shutdown, panic } = control.actions;
  return {
    reboot: reboot === 'shutdown' ? 'shutdown' : 'reset',
    shutdown: shutdown === 'pause' ? 'pause' : 'poweroff',
    panic: panic === 'pause' || panic === 'none' || panic === 'exit-failure' ? panic : defaultActions.panic,
  };
}

/**
 * The monitor that QEMU would have by default, said aloud: with pinbar's own monitor on the command line QEMU no longer
 * makes it (system/vl.c, qemu_create_default_devices).
 */
function defaultMonitor(command: QemuCommandLine, control: QemuControl): string[] {
  if (control.monitor || control.nodefaults) return [];
  if (!control.nographic) return ['-monitor', 'vc:80Cx24C'];
  return hasOption(command, 'serial') ? ['-monitor', 'stdio'] : ['-serial', 'mon:stdio'];
}

/**
 * What of stock QEMU gives `pcie-mmio-window`: nothing, where the board's own window holds it, else `highmem-mmio-size` of
 * QEMU 10.0 and later, whose window lies at the first multiple of its size above RAM. Whether it really does is read
 * from the device tree afterwards.
 * @throws Problem `window-impossible`
 */
function highMmio(command: QemuCommandLine, asked: MmioWindow | undefined): string[] {
  if (!asked || machineOf(command).properties.has('highmem-mmio-size')) return [];
  const range = AddressRange.sized(asked.base, asked.size);
  const { size: memory, maximum } = memoryOf(command);
  const ram = maximum ?? memory ?? GiB;
  for (let size = DEFAULT_HIGH_MMIO_SIZE; size < 1n << 52n; size *= 2n) {
    const window = highMmioWindow(ram, size);
    if (!AddressRange.sized(window.base, window.size).covers(range)) continue;
    return size === DEFAULT_HIGH_MMIO_SIZE ? [] : ['-machine', `highmem-mmio-size=${formatQemuSize(size)}`];
  }
  throw new Problem(
    'window-impossible',
    `${asked.where.text}: no window of QEMU's virt board holds ${range.toString()}: the window is a power of two in size, at least ${hex(DEFAULT_HIGH_MMIO_SIZE)}, and lies at the first multiple of its size above RAM`,
    {
      hint: `for a window that holds ${hex(range.base)}, keep within ${around(range.base)}`,
      facts: { asked: range.toString() },
    },
  );
}

/** The window that a power of two gives around an address, where RAM ends below it. */
function around(base: bigint): string {
  let size = DEFAULT_HIGH_MMIO_SIZE;
  while (size * 2n <= base) size *= 2n;
  return AddressRange.sized(size, size).toString();
}
