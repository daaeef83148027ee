import { valuesOf, type QemuArgument, type QemuCommandLine } from './command-line.js';
import { isJson, parseJsonObject } from './json-object.js';
import { lastValue, parseKeyValues } from './key-values.js';

/** A device of `-device`, in either form. */
export interface QemuDevice {
  readonly argument: QemuArgument;
  readonly driver: string | undefined;
  readonly id: string | undefined;
}

/**
 * The devices of -device in order; what -readconfig files define is not among them: they are not read.
 * @throws Problem `qemu-json`
 */
export function devicesOf(command: QemuCommandLine): QemuDevice[] {
  return valuesOf(command, 'device').map(({ argument, value }) => {
    const pairs = isJson(value) ? parseJsonObject(value, '-device') : parseKeyValues(value, 'driver');
    return {
      argument,
      driver: pairs.findLast(({ key }) => key === 'driver')?.value,
      // The first id counts, as in QEMU (opts_parse_id).
      id: pairs.find(({ key }) => key === 'id')?.value,
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
