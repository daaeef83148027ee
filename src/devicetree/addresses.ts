import { ADDRESS_SPACE } from '../address/kinds.js';
import { hex } from '../address/format.js';
import { Problem } from '../problem/problem.js';
import { cellsOf, joinCells, u32Of, type DeviceTreeNode, type LocatedNode } from './tree.js';

/** A piece of `reg` or of a window: bytes from `base`. */
export interface BaseAndSize {
  readonly base: bigint;
  readonly size: bigint;
}

function cellCount(node: DeviceTreeNode, name: string, otherwise: number): number {
  const count = u32Of(node, name) ?? otherwise;
  if (count > 4) {
    throw new Problem('devicetree-property', `${name} of node ${node.name || '/'} is ${count}; at most 4 make sense`, {
      facts: { node: node.name, property: name, count },
    });
  }
  return count;
}

/** Cells of an address and of a size in `reg` of this node's children; 2 and 1 where it does not say (§2.3.5). */
export const childCells = (node: DeviceTreeNode): { readonly address: number; readonly size: number } => ({
  address: cellCount(node, '#address-cells', 2),
  size: cellCount(node, '#size-cells', 1),
});

/** Splits a property of whole tuples of `width` cells. Throws Problem `devicetree-property` where a part is left over. */
export function tuplesOf(node: DeviceTreeNode, name: string, width: number): number[][] | undefined {
  const cells = cellsOf(node, name);
  if (!cells) return undefined;
  if (width === 0 || cells.length % width !== 0) {
    throw new Problem(
      'devicetree-property',
      `${name} of node ${node.name || '/'} has ${cells.length} cells, which is no whole number of entries of ${width}`,
      { facts: { node: node.name, property: name, cells: cells.length, width } },
    );
  }
  return Array.from({ length: cells.length / width }, (_, index) => cells.slice(index * width, (index + 1) * width));
}

/**
 * `reg` as CPU addresses: read with the parent's cells and translated by the `ranges` of every bus above (§2.3.6, §2.3.8).
 * Undefined where the node has no `reg`.
 * @throws Problem `devicetree-property` where `reg` is malformed or the CPU cannot reach it
 */
export function regOf(at: LocatedNode): BaseAndSize[] | undefined {
  const parent = at.ancestors.at(-1);
  if (!parent) return undefined;
  const cells = childCells(parent);
  return tuplesOf(at.node, 'reg', cells.address + cells.size)?.map((tuple) => {
    const base = joinCells(tuple.slice(0, cells.address));
    const size = joinCells(tuple.slice(cells.address));
    return { base: cpuAddress(base, size, at.ancestors), size };
  });
}

/** What the CPU calls the address `base` on the bus of the last of `buses` (the root first). An empty `ranges` is identity. */
export function cpuAddress(base: bigint, size: bigint, buses: readonly DeviceTreeNode[]): bigint {
  let address = base;
  for (let depth = buses.length - 1; depth > 0; depth--) {
    const bus = buses[depth];
    const parent = buses[depth - 1];
    if (!bus || !parent) break;
    const own = childCells(bus);
    const above = childCells(parent).address;
    const ranges = tuplesOf(bus, 'ranges', own.address + above + own.size);
    const entry = ranges?.find((tuple) => {
      const start = joinCells(tuple.slice(0, own.address));
      return start <= address && address + size <= start + joinCells(tuple.slice(own.address + above));
    });
    if (entry) {
      address += joinCells(entry.slice(own.address, own.address + above)) - joinCells(entry.slice(0, own.address));
    } else if (ranges?.length !== 0) {
      throw new Problem(
        'devicetree-property',
        `${hex(base)} on bus ${buses.at(-1)?.name ?? ''} has no CPU address: ranges of ${bus.name} ` +
          (ranges ? 'do not hold it' : 'are missing'),
        { facts: { base, bus: bus.name } },
      );
    }
  }
  if (address < 0n || address + size > ADDRESS_SPACE) {
    throw new Problem('devicetree-property', `${hex(address)} and ${hex(size)} bytes are no 64-bit CPU addresses`, {
      facts: { address, size },
    });
  }
  return address;
}
