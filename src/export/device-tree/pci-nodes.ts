import { FOUR_GIB } from '../../address/kinds.js';
import type { AddressRange } from '../../address/range.js';
import { PREFETCHABLE, spaces } from '../../devicetree/pci.js';
import { encodeCells, encodeStrings, splitCells, type DeviceTreeNode, type Property } from '../../devicetree/tree.js';
import type { BarType } from '../../machine/model.js';
import { barRegister, romRegister } from '../../pci/header.js';
import type { PlacedFunction } from '../layout.js';

/** phys.hi of a PCI address: IEEE 1275 PCI Bus Binding 2.1 §2.2.1.1. `n`: cannot be relocated. */
const NOT_RELOCATABLE = 0x8000_0000;
const CONFIG = 0;

/** One entry of `reg` or `assigned-addresses`. */
interface Resource {
  readonly register: number;
  readonly type: BarType;
  readonly prefetchable: boolean;
  readonly pinned: boolean;
  readonly address: bigint;
  readonly size: bigint;
}

export const cells = (name: string, ...values: readonly number[]): Property => ({ name, value: encodeCells(values) });
export const text = (name: string, ...values: readonly string[]): Property => ({
  name,
  value: encodeStrings(...values),
});

/**
 * The nodes of functions below a host bridge: `reg` with the BARs' sizes, `assigned-addresses` with where they lie (a pinned one
 * cannot be relocated), and of bridges `bus-range` and `ranges`. VF BARs have no place in the binding.
 */
export const functionNodes = (functions: readonly PlacedFunction[]): DeviceTreeNode[] => functions.map(functionNode);

function functionNode(fn: PlacedFunction): DeviceTreeNode {
  const { address, bridge, wanted, children } = fn;
  const own = ((address.bus << 16) | (address.device << 11) | (address.fn << 8)) >>> 0;
  const resources = resourcesOf(fn);
  const unit = address.device.toString(16) + (address.fn > 0 ? `,${address.fn.toString(16)}` : '');
  const { vendor, device } = wanted ?? {};
  const hi = ({ type, prefetchable, register }: Resource) =>
    (own | spaces[type] | (prefetchable ? PREFETCHABLE : 0) | register) >>> 0;
  return {
    name: `${bridge ? 'pci' : 'dev'}@${unit}`,
    properties: [
      ...(vendor === undefined || device === undefined
        ? []
        : [text('compatible', `pci${vendor.toString(16)},${device.toString(16)}`)]),
      ...(bridge ? [text('device_type', 'pci'), cells('#address-cells', 3), cells('#size-cells', 2)] : []),
      text('label', fn.id),
      ...(vendor === undefined ? [] : [cells('vendor-id', vendor)]),
      ...(device === undefined ? [] : [cells('device-id', device)]),
      ...(wanted?.class === undefined ? [] : [cells('class-code', wanted.class)]),
      cells(
        'reg',
        own | CONFIG,
        0,
        0,
        0,
        0,
        ...resources.flatMap((one) => [hi(one), 0, 0, ...splitCells(one.size, 2)]),
      ),
      ...(resources.length === 0
        ? []
        : [
            cells(
              'assigned-addresses',
              ...resources.flatMap((one) => [
                (hi(one) | (one.pinned ? NOT_RELOCATABLE : 0)) >>> 0,
                ...splitCells(one.address, 2),
                ...splitCells(one.size, 2),
              ]),
            ),
          ]),
      ...(bridge ? [cells('bus-range', bridge.secondary, bridge.subordinate), ...rangesOf(bridge)] : []),
    ],
    children: functionNodes(children),
  };
}

function resourcesOf({ planned, bridge }: PlacedFunction): Resource[] {
  const bars = planned.bars.map((bar): Resource => ({ ...bar, register: barRegister(bar.index) }));
  if (!planned.rom) return bars;
  const rom = { ...planned.rom, register: romRegister(bridge ? 1 : 0), type: 'mem32', prefetchable: false } as const;
  return [...bars, rom];
}

/** The windows; none of them is translated. Without one there is no `ranges`: an empty one would be a bridge that is open. */
function rangesOf(windows: NonNullable<PlacedFunction['bridge']>): Property[] {
  const entry = (range: AddressRange | null, hi: number): number[] => {
    if (!range) return [];
    const address = [hi, ...splitCells(range.base, 2)];
    return [...address, ...address, ...splitCells(range.size, 2)];
  };
  const { io, memory, prefetchable } = windows;
  const wide = prefetchable && prefetchable.limit >= FOUR_GIB ? spaces.mem64 : spaces.mem32;
  const all = [
    ...entry(io, spaces.io),
    ...entry(memory, spaces.mem32),
    ...entry(prefetchable, (wide | PREFETCHABLE) >>> 0),
  ];
  return all.length > 0 ? [cells('ranges', ...all)] : [];
}
