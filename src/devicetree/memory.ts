import { AddressRange } from '../address/range.js';
import { RangeSet } from '../address/range-set.js';
import { Problem } from '../problem/problem.js';
import { childCells, regOf } from './addresses.js';
import { addNode } from './edit.js';
import {
  eachNode,
  encodeCells,
  encodeStrings,
  findNode,
  isEnabled,
  propertyOf,
  splitCells,
  stringOf,
  type DeviceTree,
} from './tree.js';

export interface ReservedMemory {
  readonly range: AddressRange;
  /** The node's name, or `/memreserve/` for an entry of the memory reservation block. */
  readonly name: string;
  /** The guest may not even map it. */
  readonly noMap: boolean;
}

/** CPU addresses of guest RAM, joined and in ascending order, and of what is reserved in it. */
export interface MemoryRanges {
  readonly ram: RangeSet;
  readonly reserved: readonly ReservedMemory[];
}

/**
 * RAM from every enabled node of device type `memory` (Devicetree Specification 0.4 §3.4); reservations from
 * /reserved-memory (§3.5, those with a fixed `reg`) and from the memory reservation block (§5.3).
 * @throws Problem `devicetree-property` where such a node is malformed
 */
export function memoryRanges(tree: DeviceTree): MemoryRanges {
  const ram: AddressRange[] = [];
  for (const at of eachNode(tree)) {
    if (stringOf(at.node, 'device_type') !== 'memory' || !isEnabled(at.node)) continue;
    for (const { base, size } of regOf(at) ?? []) if (size > 0n) ram.push(AddressRange.sized(base, size));
  }
  const reserved: ReservedMemory[] = tree.reservations
    .filter(({ address, size }) => size > 0n && address + size <= 1n << 64n)
    .map(({ address, size }) => ({ range: AddressRange.sized(address, size), name: '/memreserve/', noMap: false }));
  const above = findNode(tree, '/reserved-memory');
  for (const node of above?.node.children ?? []) {
    if (!above || !isEnabled(node)) continue;
    const pieces =
      regOf({ path: `${above.path}/${node.name}`, node, ancestors: [...above.ancestors, above.node] }) ?? [];
    for (const { base, size } of pieces) {
      if (size === 0n) continue;
      const noMap = propertyOf(node, 'no-map') !== undefined;
      reserved.push({ range: AddressRange.sized(base, size), name: node.name, noMap });
    }
  }
  return { ram: RangeSet.of(ram), reserved };
}

/**
 * The tree with more RAM: a node for each range, behind the last memory node that is there, so that a boot loader which takes
 * the first for all that there is (U-Boot's /memory, EDK2's initial memory) still gets the board's own. What a NUMA machine
 * says of its first memory node holds for them as well.
 * @throws Problem `devicetree-no-memory` where there is no memory node below the root
 */
export function addMemory(tree: DeviceTree, ranges: readonly AddressRange[]): DeviceTree {
  const [first, ...others] = tree.root.children.filter(
    (node) => stringOf(node, 'device_type') === 'memory' && isEnabled(node),
  );
  if (!first) throw new Problem('devicetree-no-memory', 'the device tree has no memory node');
  const cells = childCells(tree.root);
  const numaNode = propertyOf(first, 'numa-node-id');
  const last = others.at(-1) ?? first;
  return ranges.toReversed().reduce(
    (edited, { base, size }) =>
      addNode(
        edited,
        '/',
        {
          name: `memory@${base.toString(16)}`,
          properties: [
            { name: 'device_type', value: encodeStrings('memory') },
            { name: 'reg', value: encodeCells([...splitCells(base, cells.address), ...splitCells(size, cells.size)]) },
            ...(numaNode ? [{ name: 'numa-node-id', value: numaNode }] : []),
          ],
          children: [],
        },
        last.name,
      ),
    tree,
  );
}
