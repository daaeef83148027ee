/** One `key=value` of an option's argument. */
export interface KeyValue {
  readonly key: string;
  /** Unescaped: `,,` has become `,`. */
  readonly value: string;
  /** What stands in the argument, without the comma that ends it. */
  readonly text: string;
  /** A key without `=`: a flag, `on`; or `off` where it was written `nokey`. */
  readonly bare: boolean;
}

/** The value at `start`, up to a single comma: two stand for one. As get_opt_value in QEMU's util/qemu-option.c. */
function readValue(text: string, start: number): { readonly value: string; readonly end: number } {
  let value = '';
  for (let at = start; ;) {
    const comma = text.indexOf(',', at);
    if (comma < 0) return { value: value + text.slice(at), end: text.length };
    if (text[comma + 1] !== ',') return { value: value + text.slice(at, comma), end: comma };
    value += text.slice(at, comma + 1);
    at = comma + 2;
  }
}

/**
 * Splits `virt,gic-version=3` into keys and values as QEMU's QemuOpts does: a first part without `=` is the value of
 * `impliedKey` where the option has one. Any text is allowed.
 */
export function parseKeyValues(text: string, impliedKey?: string): KeyValue[] {
  const found: KeyValue[] = [];
  for (let at = 0; at < text.length;) {
    const start = at;
    const stop = text.slice(at).search(/[=,]/);
    const nameEnd = stop < 0 ? text.length : at + stop;
    const name = text.slice(at, nameEnd);
    let end = nameEnd;
    if (text[nameEnd] === '=') {
      const read = readValue(text, nameEnd + 1);
      end = read.end;
      found.push({ key: name, value: read.value, text: text.slice(start, end), bare: false });
    } else if (found.length === 0 && impliedKey !== undefined) {
      const read = readValue(text, at);
      end = read.end;
      found.push({ key: impliedKey, value: read.value, text: text.slice(start, end), bare: false });
    } else {
      const off = name.startsWith('no');
      found.push({ key: off ? name.slice(2) : name, value: off ? 'off' : 'on', text: name, bare: true });
    }
    at = end + 1;
  }
  return found;
}

/**
 * The argument made of these parts, each as it was written. Flags without a name (`a,,b` after a flag) are left out:
 * behind a value, their comma would become part of it.
 */
export const joinKeyValues = (parts: readonly KeyValue[]): string =>
  parts
    .filter(({ bare, text }) => !bare || text !== '')
    .map(({ text }) => text)
    .join(',');

/** The last value of `key`, as QEMU takes it; undefined where it is not given. */
export const lastValue = (parts: readonly KeyValue[], key: string): string | undefined =>
  parts.findLast((part) => part.key === key)?.value;

const yes = new Set(['on', 'yes', 'true', 'y']);
const no = new Set(['off', 'no', 'false', 'n']);

/** QEMU's spellings of a boolean; undefined for anything else. */
export const parseSwitch = (value: string): boolean | undefined =>
  yes.has(value) ? true : no.has(value) ? false : undefined;
