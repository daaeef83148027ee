import type { Machine } from '../../machine/model.js';
import type { Exported, ExportSource } from '../exported.js';
import { allPlaced, layoutOf, requireMachine, type PlacedFunction } from '../layout.js';
import { shellCommand } from '../shell.js';
import { qemuDevices } from './devices.js';
import { qemuBoard } from './machine.js';
import { pinWords } from './pins.js';
import { behindFurther, furtherNotes, rootBuses } from './root-buses.js';
import { withPreEnumeration } from './window.js';

/**
 * `stock`: what any QEMU takes. `run`: the same after `pinbar run`, with the pins. `rfc` and `pci-bars`: the options of the
 * proposed series and of its successor, which no released QEMU has and `pinbar run` understands.
 */
export type QemuForm = 'stock' | 'run' | 'rfc' | 'pci-bars';

/**
 * A plan's machine as a QEMU command: board, RAM, ports, switches and devices in their slots. What has nothing to do with
 * placement (accelerator, CPUs, disks, kernel) is left to the user, but for a CPU that the board can start with.
 * @throws Problem `export-needs-machine`, `export-board`, `export-device`, `export-mismatch`
 */
export function exportQemu({ plan, machine: given }: ExportSource, form: QemuForm): Exported {
  const machine = requireMachine(given, 'board, ports and devices, which QEMU has to be told');
  const hosts = layoutOf(plan, machine);
  const board = qemuBoard(machine);
  const notes = [...board.notes];
  let option = board.machine;
  if (form === 'rfc' || form === 'pci-bars') {
    const changed = withPreEnumeration(option, machine);
    option = changed.argument;
    notes.push(...changed.notes);
  }
  const devices = qemuDevices(hosts, machine);
  const { further } = rootBuses(hosts, machine);
  notes.push(...furtherNotes(further, machine));
  const behind = behindFurther(further);
  const functions = allPlaced(hosts).filter((fn) => !behind.has(fn));
  const lost = form === 'stock' ? [] : [...behind].filter((fn) => pinWords(fn).length > 0);
  if (lost.length > 0) {
    notes.push(
      `the pins of ${lost.map(({ id }) => id).join(', ')} are left out: pinbar run does not place what lies behind pxb-pcie`,
    );
  }
  const settings = form === 'rfc' || form === 'pci-bars' ? proposedPins(functions, form, notes) : [];
  const program = [`qemu-system-${machine.arch}`];
  const options = [
    ['-machine', option],
    ['-cpu', cpuOf(machine, notes)],
    ['-m', board.memory],
    // QEMU would put a network card, or a display, into slots that the plan gives to others.
    ['-nodefaults'],
    ...devices.map((argument) => ['-device', argument]),
    ...settings,
  ];
  if (form === 'stock') notes.push(...stockNotes(allPlaced(hosts)));
  const { splitRam } = board;
  if (form !== 'run') {
    if (splitRam !== undefined) {
      const ram = machine.ram.map(String).join(', ');
      notes.push(
        `RAM lies at ${ram} in the plan, which QEMU does not do by itself: pinbar run --split-ram ${splitRam} does`,
      );
    }
    return { content: shellCommand([program, ...options]), notes };
  }
  notes.push(...runNotes(machine, functions));
  const split = splitRam === undefined ? [] : [['--split-ram', splitRam]];
  const pins = functions.flatMap((fn) => {
    const words = pinWords(fn).map(({ word }) => word);
    return words.length > 0 ? [['--pin', `${fn.id}=${words.join(',')}`]] : [];
  });
  return { content: shellCommand([['pinbar', 'run'], ...split, ...pins, ['--', ...program], ...options]), notes };
}

/** QEMU's default CPU on `virt` is a 32-bit one (hw/arm/virt.c). With KVM, `host` is what one wants. */
function cpuOf({ arch, physicalAddressBits: bits }: Machine, notes: string[]): string {
  if (arch !== 'x86_64' || bits === undefined) return 'max';
  if (bits !== 40) notes.push(`phys-bits=${bits} needs KVM: TCG has 40 address bits and takes no others`);
  return `max,phys-bits=${bits}`;
}

function proposedPins(functions: readonly PlacedFunction[], form: 'rfc' | 'pci-bars', notes: string[]): string[][] {
  const options: string[][] = [];
  const ports = new Set<string>();
  for (const fn of functions) {
    const words = pinWords(fn);
    const wide = words.filter((one) => one.wide).map(({ word }) => word);
    const others = words.filter((one) => !one.wide).map(({ word }) => word);
    if (others.length > 0) {
      notes.push(
        `${fn.id}: ${others.join(', ')} is left out: the series pins 64-bit prefetchable BARs of devices alone`,
      );
    }
    if (wide.length === 0) continue;
    options.push(['-set', `device.${fn.id}.${form === 'rfc' ? 'fixed-bars' : 'pci-bars'}=${wide.join(',')}`]);
    let port = fn.parent;
    while (port?.parent) port = port.parent;
    if (port) ports.add(port.id);
  }
  if (form === 'pci-bars') for (const port of ports) options.push(['-set', `device.${port}.fixed-bar=on`]);
  notes.push(
    'these options are proposed and in no released QEMU: give the command to pinbar run, which does what they say',
  );
  return options;
}

function stockNotes(functions: readonly PlacedFunction[]): string[] {
  const count = functions.reduce((sum, fn) => sum + pinWords(fn).length, 0);
  return count === 0
    ? []
    : [
        `${count === 1 ? 'one address is' : `${count} addresses are`} pinned, which no option of QEMU can say: export run writes the pinbar command`,
      ];
}

/** What `--pin` cannot say: a machine file can. */
function runNotes(machine: Machine, functions: readonly PlacedFunction[]): string[] {
  const bridges = functions
    .filter(({ wanted }) => Object.keys(wanted?.bridge?.pin ?? {}).length > 0)
    .map(({ id }) => id);
  return [
    ...(machine.reserved.length > 0
      ? ['the reserved ranges are not in the command: add --machine with the machine file to pinbar run']
      : []),
    ...(bridges.length > 0
      ? [
          `pinned windows and bus numbers of ${bridges.join(', ')} are not in the command: add --machine with the machine file`,
        ]
      : []),
  ];
}
