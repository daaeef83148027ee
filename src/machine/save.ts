import type * as v from 'valibot';
import { Document, isScalar, visit, type Node } from 'yaml';
import type { machineFileSchema } from './schema.js';

/** A machine file as it is written: addresses and sizes as text, what is left out has its default. */
export type MachineFileInput = v.InferInput<typeof machineFileSchema>;

export interface MachineTextOptions {
  /** Lines that stand above everything. */
  readonly header?: readonly string[];
  /** What stands beside functions, by id. */
  readonly comments?: ReadonlyMap<string, string>;
}

/** A machine file as YAML for people: numbers in hexadecimal where they were given so, BARs in one line each. */
export function machineFileText(file: MachineFileInput, { header = [], comments }: MachineTextOptions = {}): string {
  const document = new Document(file, { aliasDuplicateObjects: false });
  const oneLine = (text: string) => ` ${text.replace(/[\p{C}\s]+/gu, ' ').trim()}`;
  if (header.length > 0) document.commentBefore = header.map(oneLine).join('\n');
  visit(document, {
    Map: (_, map) => {
      const id = map.get('id');
      const comment = typeof id === 'string' && map.has('slot') ? comments?.get(id) : undefined;
      const key = map.items[0]?.key as Node | undefined;
      if (comment !== undefined && isScalar(map.items[0]?.value)) map.items[0].value.comment = oneLine(comment);
      else if (comment !== undefined && key) key.comment = oneLine(comment);
      // What holds plain values alone takes one line.
      if (map.items.length > 0 && map.items.every(({ value }) => isScalar(value)) && !map.has('arch')) map.flow = true;
    },
    Seq: (_, seq) => {
      if (seq.items.every((item) => isScalar(item))) seq.flow = true;
    },
    Pair: (_, { key, value }) => {
      // A few ports or bytes need no unit, and no quotes.
      const plain =
        isScalar(key) && key.value === 'size' && isScalar(value) && /^[0-9]{1,9}$/.test(String(value.value));
      if (plain) value.value = Number(value.value);
    },
    Scalar: (_, scalar) => {
      // A plain number in hexadecimal reads better than one in quotes.
      if (typeof scalar.value !== 'string' || !/^0x[0-9a-f]+$/.test(scalar.value)) return;
      // It would lose its leading zeros.
      if (/^0x0./.test(scalar.value)) return;
      scalar.value = BigInt(scalar.value);
      scalar.format = 'HEX';
    },
  });
  return document.toString({ lineWidth: 0, singleQuote: true, indentSeq: true });
}
