import { Problem } from '../problem/problem.js';

/** A flattened device tree in memory: plain data that edits copy and never change. Devicetree Specification 0.4 §2, §5. */
export interface DeviceTree {
  /** The blob's `totalsize`, bytes: contents and the slack that a loader may grow into. */
  readonly totalSize: number;
  /** `boot_cpuid_phys` of the header. */
  readonly bootCpu: number;
  /** The memory reservation block (§5.3), CPU addresses. */
  readonly reservations: readonly MemoryReservation[];
  readonly root: DeviceTreeNode;
}

export interface MemoryReservation {
  readonly address: bigint;
  readonly size: bigint;
}

/** Names hold one character a byte (Latin-1), so that any name survives reading and writing. The root's name is empty. */
export interface DeviceTreeNode {
  readonly name: string;
  readonly properties: readonly Property[];
  readonly children: readonly DeviceTreeNode[];
}

export interface Property {
  readonly name: string;
  readonly value: Uint8Array;
}

/** A node with its full path and the nodes above it, the root first. */
export interface LocatedNode {
  readonly path: string;
  readonly node: DeviceTreeNode;
  readonly ancestors: readonly DeviceTreeNode[];
}

/** Every node, parents before children, in the tree's order. */
export function* eachNode(tree: DeviceTree): Generator<LocatedNode> {
  const stack: LocatedNode[] = [{ path: '/', node: tree.root, ancestors: [] }];
  for (let at = stack.pop(); at; at = stack.pop()) {
    yield at;
    const { path, node, ancestors } = at;
    const above = [...ancestors, node];
    for (const child of node.children.toReversed()) {
      stack.push({ path: `${path === '/' ? '' : path}/${child.name}`, node: child, ancestors: above });
    }
  }
}

/** Whether a node called `name` answers to `wanted`: the whole name, or the name without its unit address (§2.2.3). */
const answersTo = (name: string, wanted: string) =>
  name === wanted || (!wanted.includes('@') && name.startsWith(`${wanted}@`));

/** The index of the child that `name` means: an exact match before one without unit address; -1 where there is none. */
export function childIndex(node: DeviceTreeNode, name: string): number {
  const exact = node.children.findIndex((child) => child.name === name);
  return exact >= 0 ? exact : node.children.findIndex((child) => answersTo(child.name, name));
}

/**
 * The node at `path` (`/soc/pci@30000000`; unit addresses may be left out), or behind an alias (`serial0`, §3.3).
 * Undefined where there is none.
 */
export function findNode(tree: DeviceTree, path: string): LocatedNode | undefined {
  const [first = '', ...rest] = path.split('/');
  let start = '';
  if (first !== '') {
    const aliases = findNode(tree, '/aliases');
    const target = aliases && stringOf(aliases.node, first);
    if (target?.startsWith('/') !== true) return undefined;
    start = target;
  }
  const names = [...start.split('/'), ...rest].filter((name) => name !== '');
  let at: LocatedNode = { path: '/', node: tree.root, ancestors: [] };
  for (const name of names) {
    const child = at.node.children[childIndex(at.node, name)];
    if (!child) return undefined;
    at = {
      path: `${at.path === '/' ? '' : at.path}/${child.name}`,
      node: child,
      ancestors: [...at.ancestors, at.node],
    };
  }
  return at;
}

/** A property's bytes; undefined where the node has none of that name (an empty property has no bytes). */
export const propertyOf = (node: DeviceTreeNode, name: string): Uint8Array | undefined =>
  node.properties.find((property) => property.name === name)?.value;

function malformed(node: DeviceTreeNode, name: string, found: number, wanted: string): Problem {
  return new Problem(
    'devicetree-property',
    `property ${name} of node ${node.name || '/'} has ${found} bytes; ${wanted} was expected`,
    { facts: { node: node.name, property: name, bytes: found } },
  );
}

/** Cell `index` of a property: 32 bits, big-endian (§2.2.4). The caller knows that it is there. */
const cellOf = (value: Uint8Array, index: number): number =>
  new DataView(value.buffer, value.byteOffset, value.byteLength).getUint32(index * 4);

/** A `<u32>`. Throws Problem `devicetree-property` where the property is not 4 bytes long. */
export function u32Of(node: DeviceTreeNode, name: string): number | undefined {
  const value = propertyOf(node, name);
  if (value && value.length !== 4) throw malformed(node, name, value.length, 'one cell of 4');
  return value && cellOf(value, 0);
}

/** All cells of a property. Throws Problem `devicetree-property` where its length is not a multiple of 4. */
export function cellsOf(node: DeviceTreeNode, name: string): number[] | undefined {
  const value = propertyOf(node, name);
  if (value && value.length % 4 !== 0) throw malformed(node, name, value.length, 'a multiple of 4');
  return value && Array.from({ length: value.length / 4 }, (_, index) => cellOf(value, index));
}

/** A `<stringlist>` (§2.2.4): strings, each ended by a NUL. Text without a final NUL is taken as it stands. */
export function stringsOf(node: DeviceTreeNode, name: string): string[] | undefined {
  const value = propertyOf(node, name);
  if (!value) return undefined;
  const text = new TextDecoder().decode(value);
  if (text === '') return [];
  return (text.endsWith('\0') ? text.slice(0, -1) : text).split('\0');
}

/** The first string of a property. */
export const stringOf = (node: DeviceTreeNode, name: string): string | undefined => stringsOf(node, name)?.[0];

/** Whether a node is in use: no `status`, or `okay` (§2.3.4); `ok` is what older trees say. */
export function isEnabled(node: DeviceTreeNode): boolean {
  const status = stringOf(node, 'status');
  return status === undefined || status === 'okay' || status === 'ok';
}

/** Cells as one number, the first cell highest. */
export const joinCells = (cells: readonly number[]): bigint =>
  cells.reduce((sum, cell) => (sum << 32n) | BigInt(cell), 0n);

/** Bytes of 32-bit cells. */
export function encodeCells(cells: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(cells.length * 4);
  const view = new DataView(bytes.buffer);
  cells.forEach((cell, index) => view.setUint32(index * 4, cell));
  return bytes;
}

/** `value` as `count` cells. Throws RangeError where it does not fit. */
export function splitCells(value: bigint, count: number): number[] {
  if (value < 0n || value >> BigInt(32 * count) !== 0n) throw new RangeError(`${value} does not fit in ${count} cells`);
  return Array.from({ length: count }, (_, index) => Number((value >> BigInt(32 * (count - 1 - index))) & 0xffffffffn));
}

/** Bytes of a string property: each string and its NUL. */
export const encodeStrings = (...strings: readonly string[]): Uint8Array =>
  new TextEncoder().encode(strings.map((string) => `${string}\0`).join(''));
