import { Problem } from '../../problem/problem.js';
import { showArgument, withValue, type QemuArgument, type QemuCommandLine } from './command-line.js';
import { devicesOf, type QemuDevice } from './devices.js';
import { isJson, parseJsonObject, withMember, withoutMembers } from './json-object.js';
import { joinKeyValues, parseKeyValues, type KeyValue } from './key-values.js';

/** Properties taken out of -device arguments and ids given to them, in both forms. The command itself is not changed. */
export class DeviceEdits {
  readonly #devices: ReadonlyMap<number, QemuDevice>;
  /** New argument texts and new ids, by the index of the argument. */
  readonly #texts = new Map<number, string>();
  readonly #ids = new Map<number, string>();
  readonly #taken: Set<string>;

  constructor(command: QemuCommandLine) {
    const devices = devicesOf(command);
    this.#devices = new Map(devices.map((device) => [device.argument.index, device]));
    this.#taken = new Set(devices.flatMap(({ id }) => id ?? []));
  }

  ofDriver(driver: string): QemuArgument[] {
    return [...this.#devices.values()].filter((device) => device.driver === driver).map(({ argument }) => argument);
  }

  /** The device's id. Where it has none it gets `pinbar-N`, the first that is free. */
  idOf({ index }: QemuArgument): string {
    const known = this.#devices.get(index)?.id ?? this.#ids.get(index);
    if (known !== undefined) return known;
    let count = 0;
    while (this.#taken.has(`pinbar-${count}`)) count++;
    const id = `pinbar-${count}`;
    this.#taken.add(id);
    this.#ids.set(index, id);
    return id;
  }

  /** The argument with what was taken out gone and the id that it was given. */
  edited(argument: QemuArgument): QemuArgument {
    const id = this.#ids.get(argument.index);
    const text = this.#texts.get(argument.index) ?? (id === undefined ? undefined : argument.value);
    if (text === undefined) return argument;
    if (id === undefined) return withValue(argument, text);
    return withValue(
      argument,
      isJson(text)
        ? withMember(text, 'id', id)
        : joinKeyValues([...parseKeyValues(text, 'driver'), ...parseKeyValues(`id=${id}`)]),
    );
  }

  /** Takes the properties named `keys` out of a -device argument. Throws Problem `pin-syntax`, `qemu-json`. */
  take<Key extends string>(
    argument: QemuArgument,
    keys: readonly Key[],
  ): { readonly key: Key; readonly value: string }[] {
    const value = argument.value ?? '';
    return isJson(value) ? this.#takeJson(argument, value, keys) : this.#takeKeyValues(argument, value, keys);
  }

  #takeJson<Key extends string>(
    argument: QemuArgument,
    text: string,
    keys: readonly Key[],
  ): { key: Key; value: string }[] {
    const members = parseJsonObject(text, '-device');
    const found = members.flatMap((member) => {
      const key = keys.find((name) => name === member.key);
      if (!key) return [];
      // `fixed-bar` is a boolean, everything else a string.
      if (!member.isString && !/^(?:true|false)$/.test(member.value)) {
        throw new Problem(
          'pin-syntax',
          `${showArgument(argument)}: "${key}" is ${member.value.slice(0, 60)}, and has to be a string`,
          {
            hint: `write "${key}":"bar2@0x6b8000000000"`,
            facts: { key, value: member.value.slice(0, 200), index: argument.index },
          },
        );
      }
      return [{ key, value: member.value, member }];
    });
    if (found.length > 0) {
      this.#texts.set(argument.index, withoutMembers(text, new Set(found.map(({ member }) => member)), members));
    }
    return found.map(({ key, value }) => ({ key, value }));
  }

  #takeKeyValues<Key extends string>(
    argument: QemuArgument,
    text: string,
    keys: readonly Key[],
  ): { key: Key; value: string }[] {
    const kept: KeyValue[] = [];
    const found: { key: Key; value: string }[] = [];
    let open: { key: Key; value: string } | undefined;
    for (const part of parseKeyValues(text, 'driver')) {
      const key = keys.find((name) => name === part.key);
      if (open && continuesPins(part)) {
        open.value += `,${part.text}`;
      } else if (key) {
        const taken = { key, value: part.bare && key !== 'fixed-bar' ? '' : part.value };
        found.push(taken);
        open = key === 'fixed-bar' ? undefined : taken;
      } else {
        open = undefined;
        kept.push(part);
      }
    }
    // A single comma at the end is nothing to QEMU; after a list of BARs, something was forgotten.
    if (open && /(?<!,),$/.test(text)) open.value += ',';
    if (found.length > 0) this.#texts.set(argument.index, joinKeyValues(kept));
    return found;
  }
}

/**
 * Whether a part goes on with the list of BARs before it. QEMU asks for `bar2@0x1,,bar4@0x2` in -device, but a single comma is
 * what everyone writes first, and there is no property that is called `bar4@0x2`.
 */
const continuesPins = ({ bare, text }: KeyValue): boolean => bare && /@|^(?:bar|vf)[0-9]*$|^rom$/i.test(text);
