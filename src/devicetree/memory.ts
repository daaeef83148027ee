import { AddressRange } from '../address/range.js';
import { RangeSet } from '../address/range-set.js';
import { regOf } from './addresses.js';
import { eachNode, findNode, isEnabled, propertyOf, stringOf, type DeviceTree } from './tree.js';

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
