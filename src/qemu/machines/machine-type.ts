import { arches, type Arch } from '../../machine/model.js';
import { Problem } from '../../problem/problem.js';
import type { QemuCommandLine } from '../args/command-line.js';
import { machineOf } from '../args/machine.js';

/** A board that pinbar can pin on, as the QEMU command line names it. */
export interface MachineType {
  /** By the program's name; where that tells nothing, the first architecture that has the board. QEMU's word counts later. */
  readonly arch: Arch;
  /** What the machine type is a version of: each has a module beside this one. */
  readonly board: BoardName;
  /** The machine type as it was given, `virt-7.2`, or QEMU's default. */
  readonly type: string;
}

export type BoardName = 'virt' | 'q35' | 'pc';

interface Known {
  readonly board: BoardName;
  readonly arches: readonly Arch[];
  readonly bus: 'PCI Express' | 'PCI';
  /** Names of the machine type, those of versions and of distributions included. */
  readonly names: RegExp;
}

const known: readonly Known[] = [
  { board: 'virt', arches: ['aarch64', 'riscv64'], bus: 'PCI Express', names: /^virt(?:-[\d.]+)?$/ },
  { board: 'q35', arches: ['x86_64'], bus: 'PCI Express', names: /^(?:pc-)?q35(?:-.+)?$/ },
  { board: 'pc', arches: ['x86_64'], bus: 'PCI', names: /^pc(?:-i440fx(?:-.+)?)?$/ },
];

/** Why pinbar cannot pin on a machine, and what to use. */
const unsupported: readonly { readonly names: RegExp; readonly why: string; readonly hint: string }[] = [
  {
    names: /^isapc$/,
    why: 'it has ISA and no PCI: there are no BARs',
    hint: 'use -machine q35',
  },
  {
    names: /^microvm$/,
    why: 'its devices are virtio-mmio, and where pcie=on gives it a PCI bus, QEMU describes fixed windows to the guest, which assigns BARs itself',
    hint: 'use -machine q35, with which -bios qboot.rom boots as fast',
  },
  {
    names: /^sbsa-ref$/,
    why: 'it boots through firmware of its own (TF-A and EDK2), which enumerates PCI, and it hands out no device tree in which a guest could be told to keep a plan',
    hint: 'use -machine virt',
  },
  { names: /^none$/, why: 'it is empty: it has no PCI bus', hint: 'use a board with PCI Express' },
];

const defaultTypes: Partial<Readonly<Record<Arch, string>>> = { x86_64: 'pc' };

/**
 * The board of a QEMU command line.
 * @throws Problem `machine-missing`, `machine-unsupported`, exit 1
 */
export function machineTypeOf(command: QemuCommandLine): MachineType {
  const program = /qemu-system-([a-z0-9_]+)[^/]*$/.exec(command.program)?.[1];
  const arch = arches.find((one) => one === program);
  if (program !== undefined && arch === undefined) {
    throw new Problem(
      'machine-unsupported',
      `${command.program}: pinbar run works with ${arches.map((one) => `qemu-system-${one}`).join(', ')}`,
      { hint: 'pinbar plan solves machine files of boards that pinbar does not know, with board: none' },
    );
  }
  const given = machineOf(command).type;
  const type = given ?? (arch && defaultTypes[arch]);
  if (type === undefined) {
    throw new Problem(
      'machine-missing',
      `the QEMU command line names no machine, and ${command.program} has no default`,
      {
        hint: `add -machine ${boardsOf(arch)[0]?.board ?? 'virt'}`,
      },
    );
  }
  return boardOfType(
    type,
    arch,
    given === undefined ? `no -machine is given, which means ${type}` : `-machine ${type}`,
  );
}

/**
 * The board that a machine type is a version of.
 * @param shown how messages call it
 * @throws Problem `machine-unsupported`, exit 1
 */
export function boardOfType(type: string, arch: Arch | undefined, shown: string): MachineType {
  const boards = boardsOf(arch);
  const found = boards.find((one) => one.names.test(type));
  const first = found?.arches[0];
  if (!found || !first) {
    const named = unsupported.find((one) => one.names.test(type));
    throw new Problem(
      'machine-unsupported',
      `${shown}: pinbar cannot pin on it${named ? `, because ${named.why}` : `; pinbar run works with ${boards.map(({ board, bus }) => `${board} (${bus})`).join(', ')}`}`,
      { hint: named?.hint ?? `use -machine ${boards[0]?.board ?? 'virt'}`, facts: { type } },
    );
  }
  return { arch: arch ?? first, board: found.board, type };
}

const boardsOf = (arch: Arch | undefined): Known[] =>
  known.filter((one) => arch === undefined || one.arches.includes(arch));
