import type { DeviceTree, DeviceTreeNode, Property } from '../../devicetree/tree.js';

/** A device tree as source text. Devicetree Specification 0.4 §6. */
export function deviceTreeSource(tree: DeviceTree, comments: readonly string[] = []): string {
  return [
    ...comments.map((line) => `// ${line}\n`),
    '/dts-v1/;\n\n',
    ...tree.reservations.map(({ address, size }) => `/memreserve/ 0x${address.toString(16)} 0x${size.toString(16)};\n`),
    node(tree.root, '/', 0),
  ].join('');
}

function node({ name, properties, children }: DeviceTreeNode, shown = name, depth: number): string {
  const indent = '\t'.repeat(depth);
  const inside = [
    ...properties.map((one) => `${indent}\t${property(one)}\n`),
    ...children.map((child) => `\n${node(child, child.name, depth + 1)}`),
  ];
  return `${indent}${shown} {\n${inside.join('')}${indent}};\n`;
}

function property({ name, value }: Property): string {
  if (value.length === 0) return `${name};`;
  const strings = asStrings(value);
  if (strings) return `${name} = ${strings.map(quoted).join(', ')};`;
  if (value.length % 4 !== 0)
    return `${name} = [${Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join(' ')}];`;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const cells = Array.from({ length: value.length / 4 }, (_, i) => `0x${view.getUint32(4 * i).toString(16)}`);
  return `${name} = ${tuples(name, cells)
    .map((tuple) => `<${tuple.join(' ')}>`)
    .join(', ')};`;
}

/** Cells of an entry: of addresses here two each, of a PCI address three. */
const entryWidths: Readonly<Record<string, number>> = {
  reg: 5,
  'assigned-addresses': 5,
  'pinbar,ioreq-server-ranges': 4,
  'mmio-background-regions': 6,
};

/** `ranges` and the like read better an entry at a time. */
function tuples(name: string, cells: readonly string[]): (readonly string[])[] {
  const windows = cells.length % 8 === 0 && cells.length % 7 !== 0 ? 8 : 7;
  const width = name === 'ranges' ? windows : (entryWidths[name] ?? 0);
  if (width === 0 || cells.length % width !== 0) return [cells];
  return Array.from({ length: cells.length / width }, (_, i) => cells.slice(i * width, (i + 1) * width));
}

/** Printable strings, each ended by a NUL, as dtc guesses them; undefined for anything else. */
function asStrings(value: Uint8Array): string[] | undefined {
  if (value.at(-1) !== 0 || value[0] === 0) return undefined;
  const text = String.fromCharCode(...value.subarray(0, -1));
  const strings = text.split('\0');
  return strings.every((one) => /^[\x20-\x7e]+$/.test(one)) ? strings : undefined;
}

const quoted = (text: string) => `"${text.replaceAll(/["\\]/g, (char) => `\\${char}`)}"`;
