import { Problem } from '../../problem/problem.js';
import type { QemuCommandLine } from '../args/command-line.js';
import { bootOf } from '../args/machine.js';
import type { QemuControl } from '../args/control.js';
import type { MachineType } from './machine-type.js';

/** Firmware that leaves PCI alone: QEMU's own choice (OpenSBI) by these names, and files that are called like it. */
const SBI = /^(?:default|none)$|opensbi|fw_(?:dynamic|jump|payload)[^/]*$/i;
const QBOOT = /qboot[^/]*$/i;

/** What the guest's start means for the plan. */
export interface Boot {
  /** Words for QEMU. */
  readonly extra: readonly string[];
  readonly notices: readonly string[];
}

/**
 * What the machine starts, as far as it matters to PCI: firmware that enumerates is said, and where there is none that the
 * user asked for, the board's one that does not is chosen.
 * @throws Problem `kernel-missing`, exit 1
 */
export function bootWith(command: QemuCommandLine, machine: MachineType, control: QemuControl): Boot {
  const { kernel, firmware } = bootOf(command);
  const none: Boot = { extra: [], notices: [] };
  if (machine.board === 'q35') {
    if (firmware === undefined && kernel !== undefined)
      return { extra: ['-bios', 'qboot.rom'], notices: [QBOOT_CHOSEN] };
    return firmware !== undefined && QBOOT.test(firmware) ? none : { ...none, notices: [enumerates(firmware)] };
  }
  if (firmware !== undefined && !(machine.arch === 'riscv64' && SBI.test(firmware))) {
    return { ...none, notices: [enumerates(firmware)] };
  }
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

const enumerates = (firmware: string | undefined): string =>
  firmware === undefined
    ? 'QEMU starts SeaBIOS, which enumerates PCI itself and moves what was programmed here; with -kernel, pinbar has QEMU start qboot, which does not'
    : 'firmware that enumerates PCI itself moves what was programmed here, unless it heeds pci-enum-done in the device tree; stock EDK2 does not';
