import { MiB } from '../../address/kinds.js';
import { Problem } from '../../problem/problem.js';
import { valuesOf, type QemuCommandLine } from './command-line.js';
import { isJson } from './json-object.js';
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
  /** -bios */
  readonly bios: string | undefined;
  /** What is in the board's first flash: a file, where the command line says which, else what it does say. */
  readonly flash: string | undefined;
}

/** What the board starts: firmware from -bios, or from its first flash: -pflash, a pflash drive, the machine's pflash0. */
export function bootOf(command: QemuCommandLine): QemuBoot {
  const { properties } = machineOf(command);
  const drives = command.arguments.flatMap(({ option, value }) => {
    if (value === undefined) return [];
    if (option === 'pflash') return [value];
    const drive = option === 'drive' ? parseKeyValues(value) : [];
    return lastValue(drive, 'if') === 'pflash' ? [lastValue(drive, 'file') ?? value] : [];
  });
  const node = properties.get('pflash0');
  return {
    kernel: properties.get('kernel'),
    bios: properties.get('firmware'),
    flash: node === undefined ? drives[0] : (fileOfNode(command, node) ?? node),
  };
}

/** The file of a block node that is made by -blockdev. */
function fileOfNode(command: QemuCommandLine, node: string): string | undefined {
  for (const { value } of valuesOf(command, 'blockdev')) {
    const keys = isJson(value) ? jsonKeys(value) : new Map(parseKeyValues(value).map((one) => [one.key, one.value]));
    if (keys.get('node-name') !== node) continue;
    const inner = keys.get('file');
    return (
      keys.get('filename') ??
      keys.get('file.filename') ??
      (inner === undefined ? undefined : fileOfNode(command, inner))
    );
  }
  return undefined;
}

/** The strings in a JSON object; of an object in it `key.inner`. */
function jsonKeys(text: string): Map<string, string> {
  const keys = new Map<string, string>();
  const walk = (value: unknown, path: string) => {
    if (typeof value === 'string') keys.set(path, value);
    else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [key, one] of Object.entries(value)) walk(one, path === '' ? key : `${path}.${key}`);
    }
  };
  try {
    walk(JSON.parse(text), '');
  } catch {
    // QEMU will say what is wrong with it.
  }
  return keys;
}
