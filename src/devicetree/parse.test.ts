import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Problem } from '../problem/problem.js';
import { limits, parseDeviceTree, token } from './parse.js';
import { encodeCells, encodeStrings, type DeviceTree, type DeviceTreeNode } from './tree.js';
import { writeDeviceTree } from './write.js';

const node = (
  name: string,
  properties: Record<string, Uint8Array> = {},
  children: DeviceTreeNode[] = [],
): DeviceTreeNode => ({
  name,
  properties: Object.entries(properties).map(([key, value]) => ({ name: key, value })),
  children,
});
const tree = (root: DeviceTreeNode, totalSize = 0): DeviceTree => ({ totalSize, bootCpu: 0, reservations: [], root });

const name = fc.string({
  unit: fc.constantFrom('a', 'b', 'z', '0', ',', '.', '_', '+', '-', '@', '#', '?', 'é'),
  minLength: 1,
  maxLength: 12,
});
const property = fc.record({ name, value: fc.uint8Array({ maxLength: 20 }) });
const anyNode = (depth: number): fc.Arbitrary<DeviceTreeNode> =>
  fc.record({
    name,
    properties: fc.array(property, { maxLength: 4 }),
    children: depth === 0 ? fc.constant([]) : fc.array(anyNode(depth - 1), { maxLength: 3 }),
  });
const u64 = fc.bigInt(1n, (1n << 64n) - 1n);
const anyTree: fc.Arbitrary<DeviceTree> = fc.record({
  totalSize: fc.integer({ min: 0, max: 5000 }),
  bootCpu: fc.nat(),
  reservations: fc.array(fc.record({ address: u64, size: u64 }), { maxLength: 3 }),
  root: anyNode(4).map((root) => ({ ...root, name: '' })),
});

/** Word `index` of the blob set to `value`. */
function patched(blob: Uint8Array, offset: number, value: number): Uint8Array {
  const copy = blob.slice();
  new DataView(copy.buffer).setUint32(offset, value);
  return copy;
}
function problemOf(bytes: Uint8Array): Problem {
  try {
    parseDeviceTree(bytes);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('it was read');
}

describe('reading and writing', () => {
  it('keeps nodes, properties, their order and the reservations', () =>
    fc.assert(
      fc.property(anyTree, (original) => {
        const once = parseDeviceTree(writeDeviceTree(original));
        expect({ ...once, totalSize: 0 }).toEqual({ ...original, totalSize: 0 });
        expect(once.totalSize).toBeGreaterThanOrEqual(original.totalSize);
        expect(parseDeviceTree(writeDeviceTree(once))).toEqual(once);
      }),
    ));

  it('pads to the size that is asked for, and refuses one that is too small', () => {
    const original = tree(node('', { model: encodeStrings('a board') }));
    const blob = writeDeviceTree(original, { totalSize: 1 << 20 });
    expect(blob.length).toBe(1 << 20);
    expect(parseDeviceTree(blob).totalSize).toBe(1 << 20);
    expect(() => writeDeviceTree(original, { totalSize: 64 })).toThrow(
      expect.objectContaining({
        code: 'devicetree-size',
        facts: { needed: expect.any(Number) as number, totalSize: 64 },
      }) as Error,
    );
  });

  it('reads version 16, which has no size of the structure block', () => {
    const blob = patched(writeDeviceTree(tree(node('', { a: encodeCells([1]) }))), 20, 16);
    expect(parseDeviceTree(patched(blob, 36, 0xffffffff)).root.properties).toHaveLength(1);
  });

  it('skips NOP tokens', () => {
    const blob = writeDeviceTree(tree(node('', { a: encodeCells([1]) })));
    const struct = new DataView(blob.buffer).getUint32(8);
    let dropped = blob;
    for (let offset = struct + 8; offset < struct + 24; offset += 4) dropped = patched(dropped, offset, token.nop);
    expect(parseDeviceTree(dropped).root.properties).toEqual([]);
  });

  it('reads a blob that is part of a larger buffer', () => {
    const blob = writeDeviceTree(tree(node('', {}, [node('cpus')])));
    const larger = new Uint8Array(blob.length + 13);
    larger.set(blob, 5);
    expect(parseDeviceTree(larger.subarray(5)).root.children).toHaveLength(1);
  });
});

describe('input that is no tree', () => {
  const blob = writeDeviceTree(tree(node('', { a: encodeCells([1]) }, [node('b')])));
  const struct = new DataView(blob.buffer).getUint32(8);

  it.each([
    ['nothing', new Uint8Array(0), 'devicetree-truncated'],
    ['text', new TextEncoder().encode('/dts-v1/; / { model = "this is the source of a tree"; };'), 'devicetree-magic'],
    ['half of it', blob.subarray(0, blob.length / 2), 'devicetree-truncated'],
    ['a later version', patched(blob, 24, 18), 'devicetree-version'],
    ['an older version', patched(blob, 20, 3), 'devicetree-version'],
    ['a size beyond the limit', patched(blob, 4, limits.bytes + 1), 'devicetree-limit'],
    ['a structure block outside', patched(blob, 8, blob.length + 4), 'devicetree-truncated'],
    ['a structure block off its alignment', patched(patched(blob, 8, struct + 2), 36, 4), 'devicetree-structure'],
    ['a strings block outside', patched(blob, 12, 0xfffffff0), 'devicetree-truncated'],
    ['a reservation block without end', patched(blob, 16, (struct + 8) & ~7), 'devicetree-structure'],
    ['an unknown token', patched(blob, struct, 7), 'devicetree-structure'],
    ['an end before the root', patched(blob, struct, token.end), 'devicetree-structure'],
    ['a property that is longer than the blob', patched(blob, struct + 12, 0x7fffffff), 'devicetree-truncated'],
    ['a property name outside the strings', patched(blob, struct + 16, 0x1000), 'devicetree-structure'],
    ['no end token', patched(blob, 36, 32), 'devicetree-truncated'],
  ])('%s', (_, bytes, code) => {
    const problem = problemOf(bytes);
    expect(problem.code).toBe(code);
    expect(problem.facts).toEqual({ offset: expect.any(Number) as number });
  });

  it('nodes that lie too deep', () => {
    let deep = node('n');
    for (let i = 0; i < limits.depth; i++) deep = node('n', {}, [deep]);
    expect(problemOf(writeDeviceTree(tree({ ...deep, name: '' }))).code).toBe('devicetree-limit');
  });

  it('any bytes, and any damage to a tree, give a tree or a Problem', () =>
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc
            .tuple(fc.nat(Math.floor(blob.length / 4) - 1), fc.nat(0xffffffff))
            .map(([word, value]) => patched(blob, word * 4, value)),
          fc.tuple(fc.nat(blob.length - 1), fc.nat(255)).map(([at, value]) => blob.with(at, value)),
        ),
        (bytes) => {
          try {
            parseDeviceTree(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(Problem);
          }
        },
      ),
      { numRuns: 2000 },
    ));
});
