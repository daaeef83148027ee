import { hex } from '../address/format.js';
import { Problem } from '../problem/problem.js';
import type { DeviceTree, DeviceTreeNode, MemoryReservation, Property } from './tree.js';

/** Devicetree Specification 0.4 §5.2, §5.4. */
export const FDT_MAGIC = 0xd00dfeed;
export const HEADER_SIZE = 40;
export const VERSION = 17;
export const LAST_COMPATIBLE_VERSION = 16;
export const token = { beginNode: 1, endNode: 2, property: 3, nop: 4, end: 9 } as const;

/** What a tree may hold at most; QEMU's own trees are 1 MiB with slack, some dozens of nodes and 5 levels. */
export const limits = {
  bytes: 64 << 20,
  depth: 64,
  nodes: 1 << 16,
  properties: 1 << 20,
  reservations: 1 << 16,
} as const;

function fail(code: string, message: string, offset: number): Problem {
  return new Problem(`devicetree-${code}`, `not a usable device tree: ${message} (at offset ${hex(offset)})`, {
    hint: 'a flattened device tree is a .dtb file, such as QEMU writes with -machine dumpdtb=FILE',
    facts: { offset },
  });
}

interface Header {
  readonly totalSize: number;
  readonly struct: Section;
  readonly strings: Section;
  readonly reservations: Section;
  readonly bootCpu: number;
}

/** Bytes from `base` up to `end`, not included. */
interface Section {
  readonly base: number;
  readonly end: number;
}

function readHeader(bytes: Uint8Array, view: DataView): Header {
  if (bytes.length < HEADER_SIZE) {
    throw fail('truncated', `it has ${bytes.length} bytes, its header alone needs ${HEADER_SIZE}`, bytes.length);
  }
  const field = (index: number) => view.getUint32(index * 4);
  if (field(0) !== FDT_MAGIC) {
    throw fail('magic', `it begins with ${hex(field(0), 8)}, not with ${hex(FDT_MAGIC)}`, 0);
  }
  const totalSize = field(1);
  if (totalSize > limits.bytes)
    throw fail('limit', `it says that it has ${totalSize} bytes; at most ${limits.bytes} are read`, 4);
  if (totalSize > bytes.length || totalSize < HEADER_SIZE) {
    throw fail('truncated', `its header says ${totalSize} bytes, there are ${bytes.length}`, 4);
  }
  if (field(5) < LAST_COMPATIBLE_VERSION || field(6) > VERSION) {
    throw fail(
      'version',
      `it has version ${field(5)}, readable by readers of ${field(6)}; this one reads ${VERSION}`,
      20,
    );
  }
  const section = (name: string, fieldIndex: number, size: number | undefined, alignment: number): Section => {
    const base = field(fieldIndex);
    const end = size === undefined ? totalSize : base + size;
    if (base < HEADER_SIZE || end > totalSize) {
      throw fail(
        'truncated',
        `its ${name} at ${hex(base)}-${hex(end)} does not lie between header and end`,
        fieldIndex * 4,
      );
    }
    if (base % alignment !== 0) {
      throw fail('structure', `its ${name} starts at ${hex(base)}, not on ${alignment} bytes`, fieldIndex * 4);
    }
    return { base, end };
  };
  return {
    totalSize,
    // Version 16 has no size of the structure block.
    struct: section('structure block', 2, field(5) >= VERSION ? field(9) : undefined, 4),
    strings: section('strings block', 3, field(8), 1),
    reservations: section('memory reservation block', 4, undefined, 8),
    bootCpu: field(7),
  };
}

function readReservations(view: DataView, { base, end }: Section): MemoryReservation[] {
  const found: MemoryReservation[] = [];
  for (let at = base; at + 16 <= end; at += 16) {
    const address = view.getBigUint64(at);
    const size = view.getBigUint64(at + 8);
    if (address === 0n && size === 0n) return found;
    if (found.length === limits.reservations)
      throw fail('limit', `it has more than ${limits.reservations} memory reservations`, at);
    found.push({ address, size });
  }
  throw fail('structure', 'its memory reservation block has no end (an entry of zeros)', base);
}

/** The NUL-terminated Latin-1 text at `at`; `end` is where its block ends. */
function readName(bytes: Uint8Array, at: number, end: number, what: string): string {
  const nul = at < end ? bytes.subarray(at, end).indexOf(0) : -1;
  if (nul < 0) throw fail('structure', `${what} has no end`, at);
  let name = '';
  for (const byte of bytes.subarray(at, at + nul)) name += String.fromCharCode(byte);
  return name;
}

interface OpenNode {
  readonly name: string;
  readonly properties: Property[];
  readonly children: DeviceTreeNode[];
}

/**
 * Reads a flattened device tree, version 17 or 16. Nodes, properties, their order and the memory reservations are kept;
 * NOP tokens are not. Any input is allowed: nothing is read outside `bytes`, and the work is bounded by its length.
 * @throws Problem `devicetree-magic`, `-version`, `-truncated`, `-structure`, `-limit`, each with `facts.offset`
 */
export function parseDeviceTree(bytes: Uint8Array): DeviceTree {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = readHeader(bytes, view);
  const { struct, strings } = header;
  const names = new Map<number, string>();
  const propertyName = (offset: number, at: number): string => {
    const known = names.get(offset);
    if (known !== undefined) return known;
    if (offset >= strings.end - strings.base)
      throw fail('structure', `a property name lies outside the strings block`, at);
    const name = readName(bytes, strings.base + offset, strings.end, 'a property name');
    names.set(offset, name);
    return name;
  };

  const open: OpenNode[] = [];
  let root: OpenNode | undefined;
  let nodes = 0;
  let properties = 0;
  let at = struct.base;
  const word = (): number => {
    if (at + 4 > struct.end) throw fail('truncated', 'its structure block ends without an end token', at);
    at += 4;
    return view.getUint32(at - 4);
  };

  for (;;) {
    const start = at;
    const kind = word();
    const node = open.at(-1);
    if (kind === token.nop) continue;
    if (kind === token.beginNode) {
      const name = readName(bytes, at, struct.end, 'a node name');
      at = start + 4 + alignTo4(name.length + 1);
      if (root && !node) throw fail('structure', 'it has a second root node', start);
      if (root ? name === '' || name.includes('/') : name !== '' && name !== '/') {
        throw fail('structure', `a node cannot be called ${JSON.stringify(name.slice(0, 60))}`, start);
      }
      if (open.length === limits.depth) throw fail('limit', `its nodes lie more than ${limits.depth} deep`, start);
      if (++nodes > limits.nodes) throw fail('limit', `it has more than ${limits.nodes} nodes`, start);
      const opened: OpenNode = { name: root ? name : '', properties: [], children: [] };
      root ??= opened;
      node?.children.push(opened);
      open.push(opened);
    } else if (kind === token.endNode && node) {
      open.pop();
    } else if (kind === token.property && node) {
      if (node.children.length > 0)
        throw fail('structure', `a property of ${node.name || '/'} comes after its child nodes`, start);
      if (++properties > limits.properties)
        throw fail('limit', `it has more than ${limits.properties} properties`, start);
      const size = word();
      const name = propertyName(word(), start + 8);
      if (size > struct.end - at)
        throw fail('truncated', `property ${name} has ${size} bytes, more than are left`, start);
      node.properties.push({ name, value: bytes.slice(at, at + size) });
      at += alignTo4(size);
    } else if (kind === token.end && root && !node) {
      break;
    } else {
      throw fail('structure', `token ${hex(kind)} does not belong here`, start);
    }
  }
  return {
    totalSize: header.totalSize,
    bootCpu: header.bootCpu,
    reservations: readReservations(view, header.reservations),
    root,
  };
}

export const alignTo4 = (offset: number): number => Math.ceil(offset / 4) * 4;
