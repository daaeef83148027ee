import { MiB } from '../../address/kinds.js';
import { Problem } from '../../problem/problem.js';
import { valuesOf, type QemuCommandLine } from './command-line.js';
import { lastValue, parseKeyValues } from './key-values.js';

/** Options that QEMU turns into machine properties, in the order of the command line (system/vl.c). */
const machineProperties: Readonly<Record<string, string>> = {
  kernel: 'kernel',
  initrd: 'initrd',
  append: 'append',
  dtb: 'dtb',
  shim: 'shim',
  bios: 'firmware',
};

export interface QemuMachine {
  /** The machine type, `virt`; undefined where none is given. */
  readonly type: string | undefined;
  /**
   * Machine properties: all -machine and -M together, the last value of each, with those of -kernel, -initrd, -append,
   * -dtb, -shim and -bios (`firmware`).
   */
  readonly properties: ReadonlyMap<string, string>;
}

export function machineOf(command: QemuCommandLine): QemuMachine {
  const properties = new Map<string, string>();
  for (const { argument, value } of valuesOf(command, 'machine', ...Object.keys(machineProperties))) {
    const property = machineProperties[argument.option ?? ''];
    if (property === undefined) for (const part of parseKeyValues(value, 'type')) properties.set(part.key, part.value);
    else properties.set(property, value);
  }
  const type = properties.get('type');
  properties.delete('type');
  return { type, properties };
}

export interface QemuMemory {
  /** Bytes of RAM at the start; undefined where -m is not given: the board's default, 128 MiB for most. */
  readonly size: bigint | undefined;
  readonly maximum: bigint | undefined;
}

const shifts: Readonly<Record<string, bigint>> = { b: 0n, k: 10n, m: 20n, g: 30n, t: 40n, p: 50n, e: 60n };

/** A size as QEMU writes it: `1.5G`, `4096` in `unit` bytes. QEMU rounds a fraction down to bytes. */
function qemuSize(text: string, unit: bigint, argument: string): bigint {
  const match = /^([0-9]{1,20})(?:\.([0-9]{1,20}))?([bkmgtpe])?$/i.exec(text);
  if (match?.[1] === undefined) {
    throw new Problem('qemu-memory', `${argument.slice(0, 80)}: "${text.slice(0, 40)}" is not an amount of memory`, {
      hint: 'write MiB, such as -m 4096, or a unit, such as -m 4G',
      facts: { text: text.slice(0, 200) },
    });
  }
  const scale = match[3] === undefined ? unit : 1n << (shifts[match[3].toLowerCase()] ?? 0n);
  const fraction = match[2] ?? '';
  return (BigInt(match[1] + fraction) * scale) / 10n ** BigInt(fraction.length);
}

/**
 * What all -m together say: `size` in MiB where it has no unit, `maxmem` in bytes then, as QEMU has it.
 * @throws Problem `qemu-memory`
 */
export function memoryOf(command: QemuCommandLine): QemuMemory {
  let memory: QemuMemory = { size: undefined, maximum: undefined };
  for (const { value } of valuesOf(command, 'm')) {
    const shown = `-m ${value}`;
    for (const { key, value: text } of parseKeyValues(value, 'size')) {
      if (key === 'size') memory = { ...memory, size: qemuSize(text, MiB, shown) };
      else if (key === 'maxmem') memory = { ...memory, maximum: qemuSize(text, 1n, shown) };
    }
  }
  return memory;
}

export interface QemuBoot {
  readonly kernel: string | undefined;
  /** What gives the board firmware: -bios, -pflash, a pflash drive, or the machine's pflash0. */
  readonly firmware: string | undefined;
}

export function bootOf(command: QemuCommandLine): QemuBoot {
  const { properties } = machineOf(command);
  const flash = command.arguments.find(
    ({ option, value }) =>
      value !== undefined &&
      (option === 'pflash' || (option === 'drive' && lastValue(parseKeyValues(value), 'if') === 'pflash')),
  );
  return {
    kernel: properties.get('kernel'),
    firmware: properties.get('firmware') ?? properties.get('pflash0') ?? flash?.value,
  };
}
