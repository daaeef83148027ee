import { Problem } from '../../problem/problem.js';
import type { QemuCommandLine } from '../args/command-line.js';
import { bootOf } from '../args/machine.js';
import type { QemuControl } from '../args/control.js';
import { optionRom } from '../../uefi/option-rom.js';
import { inheritedFile } from '../process.js';
import type { BoardName, MachineType } from './machine-type.js';

/** Firmware that leaves PCI alone: QEMU's own choice (OpenSBI) by these names, and files that are called like it. */
const SBI = /^(?:default|none)$|opensbi|fw_(?:dynamic|jump|payload)[^/]*$/i;
const QBOOT = /qboot[^/]*$/i;

/** Firmware that starts no UEFI drivers of option ROMs: SeaBIOS is not UEFI, and U-Boot's UEFI has no place for them. */
const NO_DRIVERS = /seabios|u-boot|(?:^|\/)bios(?:-256k|-microvm)?\.bin$/i;

/** Firmware that enumerates PCI itself. */
export interface Firmware {
  /** As messages call it: its file, or SeaBIOS. */
  readonly name: string;
  /** Whether pinbar's UEFI driver goes with it: it may take the plan then. */
  readonly driver: boolean;
}

/** What the guest's start means for the plan. */
export interface Boot {
  /** Words for QEMU. */
  readonly extra: readonly string[];
  readonly notices: readonly string[];
  /** Missing where what starts leaves PCI alone. */
  readonly firmware?: Firmware;
  /** Files that QEMU inherits, see {@link inheritedFile}. */
  readonly files?: readonly Uint8Array[];
}

/** The board's host bridge function, 00:00.0, which carries the driver: firmware comes to it first. `pc` goes without. */
const hostBridges: Partial<Readonly<Record<BoardName, string>>> = { virt: 'gpex-root', q35: 'mch' };

/**
 * What the machine starts, as far as it matters to PCI: firmware that enumerates gets pinbar's driver to go with it, and
 * where there is none that the user asked for, the board's one that does not enumerate is chosen.
 * @param driver false: the user wants no driver
 * @throws Problem `kernel-missing`, exit 1
 */
export function bootWith(command: QemuCommandLine, machine: MachineType, control: QemuControl, driver = true): Boot {
  const { kernel, bios, flash } = bootOf(command);
  const none: Boot = { extra: [], notices: [] };
  const isPc = machine.arch === 'x86_64';
  if (isPc && bios === undefined && flash === undefined) {
    return kernel === undefined
      ? { ...none, notices: [SEABIOS_STARTS], firmware: { name: 'SeaBIOS', driver: false } }
      : { extra: ['-bios', 'qboot.rom'], notices: [QBOOT_CHOSEN] };
  }
  const quiet = isPc ? QBOOT : SBI;
  const leavesAlone = bios !== undefined && (isPc || machine.arch === 'riscv64') && quiet.test(bios);
  const name = flash ?? (leavesAlone ? undefined : bios);
  if (name !== undefined) return enumerating(name, machine, driver && !NO_DRIVERS.test(name));
  if (leavesAlone && isPc) return none;
  const loader = command.arguments.some(({ option, value }) => option === 'device' && value?.includes('loader'));
  if (kernel === undefined && !loader && !control.paused) {
    throw new Problem(
      'kernel-missing',
      'the QEMU command line has neither -kernel nor firmware: the guest has nothing to run',
      { hint: 'add -kernel Image -initrd initrd -append …' },
    );
  }
  return none;
}

const QBOOT_CHOSEN =
  '-bios qboot.rom is added: it comes with QEMU, starts the kernel and leaves BARs and windows alone, while SeaBIOS, which QEMU would take, enumerates PCI itself';

const SEABIOS_STARTS =
  'QEMU starts SeaBIOS, which enumerates PCI itself and moves what was programmed here; with -kernel, pinbar has QEMU start qboot, which does not';

function enumerating(name: string, { arch, board }: MachineType, driver: boolean): Boot {
  const carrier = driver ? hostBridges[board] : undefined;
  const firmware = { name, driver: carrier !== undefined };
  if (carrier === undefined) {
    const notice = `${name}: firmware that enumerates PCI itself moves what was programmed here, unless it heeds pci-enum-done in the device tree`;
    return { extra: [], notices: [notice], firmware };
  }
  const rom = `${carrier}.romfile=${inheritedFile(0)}`;
  return {
    extra: ['-global', rom],
    notices: [
      `${name} enumerates PCI itself: -global ${rom} is added, a UEFI driver of pinbar’s by which EDK2 takes the plan (--no-uefi-driver leaves it out)`,
    ],
    firmware,
    files: [optionRom(arch)],
  };
}
