import { formatSize } from '../address/format.js';
import { Problem } from '../problem/problem.js';
import { alignTo4, FDT_MAGIC, HEADER_SIZE, LAST_COMPATIBLE_VERSION, token, VERSION } from './parse.js';
import type { DeviceTree, DeviceTreeNode } from './tree.js';

/** A growing big-endian buffer. */
class Bytes {
  #bytes = new Uint8Array(1 << 16);
  length = 0;

  #room(more: number): void {
    if (this.length + more <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + more));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }

  u32(value: number): void {
    this.#room(4);
    new DataView(this.#bytes.buffer).setUint32(this.length, value);
    this.length += 4;
  }

  bytes(value: Uint8Array): void {
    this.#room(value.length);
    this.#bytes.set(value, this.length);
    this.length += value.length;
  }

  /** Latin-1 and a NUL. */
  name(text: string): void {
    this.#room(text.length + 1);
    for (let i = 0; i < text.length; i++) this.#bytes[this.length + i] = text.charCodeAt(i);
    this.#bytes[this.length + text.length] = 0;
    this.length += text.length + 1;
  }

  align4(): void {
    this.#room(4);
    const end = alignTo4(this.length);
    this.#bytes.fill(0, this.length, end);
    this.length = end;
  }

  done(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}

/** The strings block: every property name once, in the order of first use. */
class Strings {
  readonly block = new Bytes();
  readonly #offsets = new Map<string, number>();

  offset(name: string): number {
    const known = this.#offsets.get(name);
    if (known !== undefined) return known;
    const offset = this.block.length;
    this.#offsets.set(name, offset);
    this.block.name(name);
    return offset;
  }
}

function writeNode(node: DeviceTreeNode, struct: Bytes, strings: Strings): void {
  struct.u32(token.beginNode);
  struct.name(node.name);
  struct.align4();
  for (const { name, value } of node.properties) {
    struct.u32(token.property);
    struct.u32(value.length);
    struct.u32(strings.offset(name));
    struct.bytes(value);
    struct.align4();
  }
  for (const child of node.children) writeNode(child, struct, strings);
  struct.u32(token.endNode);
}

export interface WriteOptions {
  /** Bytes of the blob, contents and slack; left out: the tree's own `totalSize`, or more where the contents need it. */
  readonly totalSize?: number;
}

/**
 * A version 17 blob. Whatever the parser keeps comes back from it: parse(write(t)) equals t, apart from a `totalSize`
 * that had to grow. The slack after the contents is zeros.
 * @throws Problem `devicetree-size` where the contents do not fit into `totalSize`
 */
export function writeDeviceTree(tree: DeviceTree, options: WriteOptions = {}): Uint8Array {
  const struct = new Bytes();
  const strings = new Strings();
  writeNode(tree.root, struct, strings);
  struct.u32(token.end);

  const structBase = HEADER_SIZE + (tree.reservations.length + 1) * 16;
  const stringsBase = structBase + struct.length;
  const needed = stringsBase + strings.block.length;
  const totalSize = options.totalSize ?? Math.max(tree.totalSize, needed);
  if (needed > totalSize) {
    throw new Problem(
      'devicetree-size',
      `the device tree needs ${needed} bytes, ${needed - totalSize} more than the ${formatSize(BigInt(totalSize))} that it may have`,
      { facts: { needed, totalSize } },
    );
  }

  const blob = new Uint8Array(totalSize);
  const view = new DataView(blob.buffer);
  const header = [
    ...[FDT_MAGIC, totalSize, structBase, stringsBase, HEADER_SIZE, VERSION, LAST_COMPATIBLE_VERSION],
    ...[tree.bootCpu, strings.block.length, struct.length],
  ];
  header.forEach((value, index) => view.setUint32(index * 4, value));
  tree.reservations.forEach(({ address, size }, index) => {
    view.setBigUint64(HEADER_SIZE + index * 16, address);
    view.setBigUint64(HEADER_SIZE + index * 16 + 8, size);
  });
  blob.set(struct.done(), structBase);
  blob.set(strings.block.done(), stringsBase);
  return blob;
}
