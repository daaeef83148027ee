import { AddressRange } from '../address/range.js';
import { ADDRESS_SPACE } from '../address/kinds.js';
import { hex } from '../address/format.js';
import { Problem } from '../problem/problem.js';
import { tuplesOf } from './addresses.js';
import { memoryRanges, type ReservedMemory } from './memory.js';
import { pciHostBridges, type PciHostBridge } from './pci.js';
import { eachNode, joinCells, splitCells, stringsOf, u32Of, type DeviceTree, type DeviceTreeNode } from './tree.js';

/** Properties of a dom0less domain's node (`xen,domain`, below /chosen of the host's tree). */
export const xenProperties = {
  /** Xen 4.21 and later, docs/misc/arm/device-tree/booting.txt: with 0, reads of addresses that nobody has give all ones. */
  trapUnmapped: 'trap-unmapped-accesses',
  /** Proposed (xen-devel, 2025-05, "xen/arm: Virtio-PCI for dom0less on ARM"): base, size and read value, two cells each. */
  background: 'mmio-background-regions',
  /** Xen has no binding, because servers claim at run time: pinbar's own, base and size, two cells each. */
  ioreqRanges: 'pinbar,ioreq-server-ranges',
} as const;

/** Reads give the low bytes of `value`, writes are ignored. */
export interface BackgroundRegion {
  readonly range: AddressRange;
  readonly value: bigint;
}

/** What a domain's node says of addresses that no device of Xen's own has. */
export interface XenDomain {
  readonly path: string;
  /** False: what nobody has reads as ones. True, as where nothing is said: such an access is a data abort in the guest. */
  readonly trapUnmapped: boolean;
  readonly background: readonly BackgroundRegion[];
  /** What the IOREQ server claims; undefined where the node does not say. */
  readonly ioreqRanges: readonly AddressRange[] | undefined;
}

/** Both fragments of a guest. */
export interface XenGuest {
  readonly domain: XenDomain;
  /** Host bridges below /passthrough: all that the guest gets of its partial tree beside aliases. */
  readonly hosts: readonly PciHostBridge[];
  readonly reserved: readonly ReservedMemory[];
}

const CELLS = 2;
const pairs = (values: readonly bigint[]): number[] => values.flatMap((value) => splitCells(value, CELLS));

export const encodeBackground = (regions: readonly BackgroundRegion[]): number[] =>
  regions.flatMap(({ range, value }) => pairs([range.base, range.size, BigInt.asUintN(64, value)]));

export const encodeIoreqRanges = (ranges: readonly AddressRange[]): number[] =>
  ranges.flatMap(({ base, size }) => pairs([base, size]));

function rangeOf(node: DeviceTreeNode, property: string, tuple: readonly number[]): AddressRange {
  const base = joinCells(tuple.slice(0, CELLS));
  const size = joinCells(tuple.slice(CELLS, 2 * CELLS));
  if (size > 0n && base + size <= ADDRESS_SPACE) return AddressRange.sized(base, size);
  throw new Problem(
    'devicetree-property',
    `${property} of node ${node.name} has ${hex(size)} bytes from ${hex(base)}, which are no addresses`,
  );
}

const isDomain = (node: DeviceTreeNode) => stringsOf(node, 'compatible')?.includes('xen,domain') ?? false;

/** Background regions that are read; more make no sense, and each is looked at in every access. */
const MAX_BACKGROUND = 256;

function domainOf(path: string, node: DeviceTreeNode): XenDomain {
  const { background, ioreqRanges } = xenProperties;
  const regions = tuplesOf(node, background, 3 * CELLS) ?? [];
  if (regions.length > MAX_BACKGROUND) {
    throw new Problem('devicetree-property', `${background} of ${path} has more than ${MAX_BACKGROUND} regions`);
  }
  const trap = u32Of(node, xenProperties.trapUnmapped) ?? 1;
  if (trap > 1) {
    throw new Problem('devicetree-property', `${xenProperties.trapUnmapped} of ${path} is ${trap}; Xen takes 0 and 1`);
  }
  return {
    path,
    trapUnmapped: trap === 1,
    background: regions.map((tuple) => ({
      range: rangeOf(node, background, tuple),
      value: joinCells(tuple.slice(2 * CELLS)),
    })),
    ioreqRanges: tuplesOf(node, ioreqRanges, 2 * CELLS)?.map((tuple) => rangeOf(node, ioreqRanges, tuple)),
  };
}

/**
 * The guest that its partial tree and its node in the host's tree describe, in any order, in one tree or in two.
 * @throws Problem `xen-fragment` where a part is missing or there is more than one, `devicetree-property`
 */
export function xenGuest(trees: readonly DeviceTree[]): XenGuest {
  const domains = trees.flatMap((tree) =>
    [...eachNode(tree)].flatMap(({ path, node }) => (isDomain(node) ? [domainOf(path, node)] : [])),
  );
  const [domain, other] = domains;
  if (!domain || other) {
    throw new Problem(
      'xen-fragment',
      domain
        ? `there are ${domains.length} domains: ${domains.map(({ path }) => path).join(', ')}`
        : 'there is no node of a domain (compatible "xen,domain")',
      {
        hint: domain ? 'give a tree with one of them' : 'pinbar export xen-domain writes one, to be compiled with dtc',
      },
    );
  }
  const partial = trees.filter((tree) => tree.root.children.some(({ name }) => name === 'passthrough'));
  const hosts = partial.flatMap((tree) => pciHostBridges(tree).filter(({ path }) => path.startsWith('/passthrough/')));
  if (hosts.length === 0) {
    throw new Problem('xen-fragment', 'there is no host bridge (pci-host-ecam-generic) below /passthrough', {
      hint: 'pinbar export xen writes the guest’s partial tree, to be compiled with dtc',
    });
  }
  return { domain, hosts, reserved: partial.flatMap((tree) => memoryRanges(tree).reserved) };
}
