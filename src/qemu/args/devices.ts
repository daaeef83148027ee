import { hasOption, valuesOf, type QemuArgument, type QemuCommandLine } from './command-line.js';
import { isJson, parseJsonObject } from './json-object.js';
import { lastValue, parseKeyValues, parseSwitch } from './key-values.js';
import { machineOf } from './machine.js';

/** A device of `-device`, in either form. */
export interface QemuDevice {
  readonly argument: QemuArgument;
  readonly driver: string | undefined;
  readonly id: string | undefined;
  readonly bus: string | undefined;
  /** `addr`, as it is written: `1e.1`, `0x3`. */
  readonly addr: string | undefined;
  readonly multifunction: boolean;
  /** All properties with the values that count (the last one; -set after -device), `driver` and `id` left out. */
  readonly properties: ReadonlyMap<string, string>;
}

/**
 * The devices of -device in order. What -set gives them is included; what -readconfig files define is not: they are
 * not read.
 * @throws Problem `qemu-json`
 */
export function devicesOf(command: QemuCommandLine): QemuDevice[] {
  const sets = valuesOf(command, 'set').flatMap(({ value }) => parseSet(value) ?? []);
  return valuesOf(command, 'device').map(({ argument, value }) => {
    const json = isJson(value);
    const pairs = json ? parseJsonObject(value, '-device') : parseKeyValues(value, 'driver');
    const properties = new Map(pairs.map((pair) => [pair.key, pair.value]));
    // The first id counts, as in QEMU (opts_parse_id).
    const id = pairs.find(({ key }) => key === 'id')?.value;
    for (const set of sets) if (set.group === 'device' && set.id === id) properties.set(set.key, set.value);
    const driver = properties.get('driver');
    properties.delete('driver');
    properties.delete('id');
    return {
      argument,
      driver,
      id,
      bus: properties.get('bus'),
      addr: properties.get('addr'),
      multifunction: parseSwitch(properties.get('multifunction') ?? 'off') ?? false,
      properties,
    };
  });
}

export interface SetOption {
  readonly group: string;
  readonly id: string;
  readonly key: string;
  readonly value: string;
}

/** `-set GROUP.ID.KEY=VALUE`: an id ends at its first dot, a key may have dots, and all after the `=` is literal. */
export function parseSet(text: string): SetOption | undefined {
  const [, group, id, key, value] = /^([^.]+)\.([^.]+)\.([^=]+)=(.*)$/s.exec(text) ?? [];
  return group !== undefined && id !== undefined && key !== undefined && value !== undefined
    ? { group, id, key, value }
    : undefined;
}

export interface GlobalOption {
  readonly driver: string;
  readonly property: string;
  readonly value: string;
}

/** `-global DRIVER.PROPERTY=VALUE` (the value literally), or `driver=…,property=…,value=…`. */
export function parseGlobal(text: string): GlobalOption | undefined {
  const [, driver, property, value] = /^([^.=]+)\.([^=]+)=(.*)$/s.exec(text) ?? [];
  if (driver !== undefined && property !== undefined && value !== undefined) return { driver, property, value };
  const pairs = parseKeyValues(text);
  const named = {
    driver: lastValue(pairs, 'driver'),
    property: lastValue(pairs, 'property'),
    value: lastValue(pairs, 'value'),
  };
  return named.driver === undefined || named.property === undefined || named.value === undefined
    ? undefined
    : { driver: named.driver, property: named.property, value: named.value };
}

/** A PCI device that QEMU makes by itself for another option, without an id. */
export interface ImplicitDevice {
  readonly kind: 'network' | 'disk';
  /** The option it comes from; undefined for the network device that QEMU adds where no option says otherwise. */
  readonly argument: QemuArgument | undefined;
}

const diskOptions = new Set(['hda', 'hdb', 'hdc', 'hdd', 'cdrom']);

/**
 * The options that make a PCI device without -device, on boards with virtio disks and a PCI network device (`virt`):
 * -nic, -net nic, -drive with if=virtio, -hda and a disk image by itself; and the default network device, which only
 * -nic, -net, -netdev and -nodefaults prevent.
 */
export function implicitDevicesOf(command: QemuCommandLine): ImplicitDevice[] {
  const virtioDisks = /^virt(?:-|$)/.test(machineOf(command).type ?? '');
  const found = command.arguments.flatMap((argument): ImplicitDevice[] => {
    const { option, value = '' } = argument;
    const pairs = parseKeyValues(value, option === 'nic' || option === 'net' ? 'type' : undefined);
    if (option === 'nic') {
      const none = ['none', 'help'].includes(lastValue(pairs, 'type') ?? '') || lastValue(pairs, 'model') === 'none';
      return none ? [] : [{ kind: 'network', argument }];
    }
    if (option === 'net') return lastValue(pairs, 'type') === 'nic' ? [{ kind: 'network', argument }] : [];
    const disk =
      option === 'drive'
        ? (lastValue(pairs, 'if') ?? (virtioDisks ? 'virtio' : '')) === 'virtio'
        : virtioDisks && (option === null || diskOptions.has(option));
    return disk ? [{ kind: 'disk', argument }] : [];
  });
  const decided = ['nic', 'net', 'netdev', 'nodefaults'].some((option) => hasOption(command, option));
  return decided ? found : [...found, { kind: 'network', argument: undefined }];
}
