import type { Arch } from '../../machine/model.js';
import { Problem } from '../../problem/problem.js';
import type { QemuCommandLine } from '../args/command-line.js';
import { machineOf } from '../args/machine.js';

/** A board that pinbar can pin on, as the QEMU command line names it. */
export interface MachineType {
  /** By the program's name; where that tells nothing, the first architecture that has the board. */
  readonly arch: Arch;
  /** What the machine type is a version of: each has a module beside this one. */
  readonly board: BoardName;
  /** The machine type as it was given: `virt-7.2`. */
  readonly type: string;
}

export type BoardName = 'virt';

interface Known {
  readonly board: BoardName;
  readonly arches: readonly Arch[];
  /** Names of the machine type, versions included. */
  readonly names: RegExp;
}

const known: readonly Known[] = [{ board: 'virt', arches: ['aarch64'], names: /^virt(?:-\d+\.\d+)?$/ }];

/**
 * The board of a QEMU command line.
 * @throws Problem `machine-missing`, `machine-unsupported`, exit 1
 */
export function machineTypeOf(command: QemuCommandLine): MachineType {
  const program = /qemu-system-([a-z0-9_]+)[^/]*$/.exec(command.program)?.[1];
  const { type } = machineOf(command);
  if (program !== undefined && !known.some(({ arches }) => arches.some((arch) => arch === program))) {
    throw new Problem('machine-unsupported', `${command.program}: pinbar run works with qemu-system-aarch64 so far`, {
      hint: 'pinbar plan solves machine files of every architecture',
    });
  }
  if (type === undefined) {
    throw new Problem(
      'machine-missing',
      'the QEMU command line names no machine, and qemu-system-aarch64 has no default',
      {
        hint: 'add -machine virt',
      },
    );
  }
  const found = known.find(
    ({ arches, names }) => names.test(type) && (program === undefined || arches.some((arch) => arch === program)),
  );
  if (!found) {
    throw new Problem(
      'machine-unsupported',
      `-machine ${type}: pinbar run works with the board virt, which has PCI Express and describes itself in a device tree`,
      {
        hint: 'use -machine virt',
        facts: { type },
      },
    );
  }
  const arch = found.arches.find((one) => one === program) ?? found.arches[0];
  if (arch === undefined) throw new Error(`the board ${found.board} has no architecture`);
  return { arch, board: found.board, type };
}
