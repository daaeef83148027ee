import { AddressRange } from '../address/range.js';
import { PREFETCHABLE, SPACE_MASK, spaces } from '../devicetree/pci.js';
import { cellsOf, joinCells, stringOf, u32Of, type DeviceTreeNode } from '../devicetree/tree.js';
import { barRegister, romRegister } from '../pci/header.js';
import type { Bdf } from '../pci/bdf.js';
import { MOST_FUNCTIONS, type ResourceName, type SeenFunction, type SeenResource } from './observation.js';
import type { Source } from './source.js';

/** An entry of `reg` (the address is 0) or `assigned-addresses`: three cells of address, two of size. */
interface Entry {
  readonly hi: number;
  readonly address: bigint;
  readonly size: bigint;
}

const ENTRY_CELLS = 5;
/** A window: its address on the secondary bus, on the primary bus, and its size. */
const WINDOW_CELLS = 8;

/**
 * The functions that a tree has below a host bridge's node, as firmware or `pinbar export dtb` writes them: BARs and their sizes in
 * `reg`, addresses in `assigned-addresses`, bus numbers and windows of bridges. None where nobody has looked at the bus: nodes that
 * hang properties on slots, as boards' own trees have them, say neither who is there nor what it has.
 * @throws Problem `devicetree-property` where a property is not made of cells
 */
export function treeFunctions(host: DeviceTreeNode, segment: number, source: Source): SeenFunction[] {
  if (!enumerated(host)) return [];
  const found: SeenFunction[] = [];
  const walk = (node: DeviceTreeNode, parent: Bdf | null): void => {
    for (const child of node.children) {
      if (found.length >= MOST_FUNCTIONS) return;
      const fn = functionOf(child, segment, parent, source);
      if (!fn) continue;
      found.push(fn);
      walk(child, fn.address);
    }
  };
  walk(host, null);
  return found;
}

const enumerated = ({ children }: DeviceTreeNode): boolean =>
  children.some(
    (child) =>
      child.properties.some(({ name }) => name === 'vendor-id' || name === 'assigned-addresses') || enumerated(child),
  );

function functionOf(
  node: DeviceTreeNode,
  segment: number,
  parent: Bdf | null,
  source: Source,
): SeenFunction | undefined {
  const [own, ...resources] = entriesOf(node, 'reg');
  const assigned = entriesOf(node, 'assigned-addresses');
  const vendor = u32Of(node, 'vendor-id');
  if (!own || (own.hi & SPACE_MASK) !== 0) return undefined;
  const address: Bdf = { segment, bus: (own.hi >>> 16) & 0xff, device: (own.hi >>> 11) & 31, fn: (own.hi >>> 8) & 7 };
  const device = u32Of(node, 'device-id');
  const code = u32Of(node, 'class-code');
  const title = stringOf(node, 'label');
  const [secondary, subordinate] = cellsOf(node, 'bus-range') ?? [];
  const isBridge = secondary !== undefined && subordinate !== undefined;
  const at = new Map(assigned.map((entry) => [entry.hi & 0xff, entry]));
  return {
    address,
    source,
    parent,
    ...(vendor === undefined ? {} : { vendor }),
    ...(device === undefined ? {} : { device }),
    ...(code === undefined ? {} : { class: code }),
    ...(title === undefined ? {} : { title }),
    headerType: isBridge ? 1 : 0,
    isBridge,
    ...(isBridge ? { buses: { secondary, subordinate, source } } : {}),
    resources: [
      ...resources.flatMap((entry) => resourceOf(entry, at.get(entry.hi & 0xff), isBridge, source)),
      ...(isBridge ? windowsOf(node, source) : []),
    ],
  };
}

function resourceOf(
  { hi, size }: Entry,
  assigned: Entry | undefined,
  isBridge: boolean,
  source: Source,
): SeenResource[] {
  const name = nameOf(hi & 0xff, isBridge);
  if (name === undefined || size === 0n) return [];
  return [
    {
      name,
      space: (hi & SPACE_MASK) === spaces.io ? 'io' : 'memory',
      wide: (hi & SPACE_MASK) === spaces.mem64,
      prefetchable: (hi & PREFETCHABLE) !== 0,
      size,
      placement: assigned
        ? { state: 'assigned', address: assigned.address }
        : { state: 'unassigned', why: 'listed-so' },
      numbers: 'bus',
      source,
    },
  ];
}

function nameOf(register: number, isBridge: boolean): ResourceName | undefined {
  if (register === romRegister(isBridge ? 1 : 0)) return 'rom';
  const index = (register - barRegister(0)) / 4;
  return Number.isInteger(index) && index >= 0 && index < (isBridge ? 2 : 6) ? index : undefined;
}

/** `ranges`; a window that is not there is closed. */
function windowsOf(node: DeviceTreeNode, source: Source): SeenResource[] {
  const windows = new Map<'io' | 'memory' | 'prefetchable', AddressRange>();
  for (const cells of groups(cellsOf(node, 'ranges') ?? [], WINDOW_CELLS)) {
    const [hi = 0] = cells;
    const size = joinCells(cells.slice(6));
    if (size === 0n) continue;
    const name = (hi & SPACE_MASK) === spaces.io ? 'io' : (hi & PREFETCHABLE) !== 0 ? 'prefetchable' : 'memory';
    windows.set(name, AddressRange.sized(joinCells(cells.slice(1, 3)), size));
  }
  return (['io', 'memory', 'prefetchable'] as const).map((name): SeenResource => {
    const range = windows.get(name);
    return {
      name,
      space: name === 'io' ? 'io' : 'memory',
      ...(range ? { size: range.size } : {}),
      placement: range ? { state: 'assigned', address: range.base } : { state: 'closed' },
      numbers: 'bus',
      source,
    };
  });
}

const entriesOf = (node: DeviceTreeNode, name: string): Entry[] =>
  groups(cellsOf(node, name) ?? [], ENTRY_CELLS).map(([hi = 0, ...rest]) => ({
    hi,
    address: joinCells(rest.slice(0, 2)),
    size: joinCells(rest.slice(2)),
  }));

/** Cells that are no whole group in the end mean nothing. */
const groups = (cells: readonly number[], length: number): (readonly number[])[] =>
  Array.from({ length: Math.floor(cells.length / length) }, (_, i) => cells.slice(i * length, (i + 1) * length));
