import { ADDRESS_SPACE, FOUR_GIB, type BusAddress, type CpuAddress, type Size } from '../address/kinds.js';
import { hex } from '../address/format.js';
import type { BarType, HostWindow } from '../machine/model.js';
import { Problem } from '../problem/problem.js';
import { childCells, cpuAddress, regOf, tuplesOf, type BaseAndSize } from './addresses.js';
import {
  cellsOf,
  encodeCells,
  findNode,
  isEnabled,
  joinCells,
  propertyOf,
  splitCells,
  stringsOf,
  u32Of,
  eachNode,
  type DeviceTree,
  type LocatedNode,
} from './tree.js';

/** A window of `ranges`. As in a plan, `base` is the bus address and `cpuBase` where the CPU sees it. */
export interface PciWindow extends HostWindow {
  readonly type: BarType;
  readonly base: BusAddress;
  readonly size: Size;
  readonly cpuBase: CpuAddress;
  /** The `p` bit of the address (0x40000000). */
  readonly prefetchable: boolean;
}

/** A generic host bridge (Linux Documentation/devicetree/bindings/pci/host-generic-pci.yaml). */
export interface PciHostBridge {
  readonly path: string;
  readonly compatible: 'pci-host-ecam-generic' | 'pci-host-cam-generic';
  /** Where config space lies, CPU addresses: 4 KiB a function (ECAM) or 256 bytes (CAM). */
  readonly config: BaseAndSize;
  /** First and last bus number; 0 to what `config` holds where the node does not say. */
  readonly buses: readonly [number, number];
  /** `linux,pci-domain`; undefined where the guest numbers it. */
  readonly segment: number | undefined;
  readonly windows: readonly PciWindow[];
  readonly dmaCoherent: boolean;
  /** A non-empty `pci-enum-done`: firmware that knows it does not enumerate. */
  readonly enumerationDone: boolean;
  /** `linux,pci-probe-only` of the node, else of /chosen, is not 0: what Linux 6.11 and later ask. */
  readonly probeOnly: boolean;
}

/** Cells of an address in PCI's own notation: phys.hi, phys.mid, phys.lo; and of a size. IEEE 1275 PCI Bus Binding 2.1 §2.2. */
const PCI_ADDRESS_CELLS = 3;
const PCI_SIZE_CELLS = 2;
/** phys.hi, `npt000ss bbbbbbbb dddddfff rrrrrrrr`: `ss`, the address space (0 is config space), and `p`. */
export const spaces = { io: 0x01000000, mem32: 0x02000000, mem64: 0x03000000 } as const;
export const SPACE_MASK = 0x03000000;
export const PREFETCHABLE = 0x40000000;

const configSizes = { 'pci-host-ecam-generic': 1n << 20n, 'pci-host-cam-generic': 1n << 16n } as const;

/**
 * The generic PCI host bridges of a tree that are in use, in its order.
 * @throws Problem `devicetree-property` where such a node is malformed
 */
export function pciHostBridges(tree: DeviceTree): PciHostBridge[] {
  const chosen = findNode(tree, '/chosen')?.node;
  const everywhere = chosen ? probeOnly(chosen) : undefined;
  const found: PciHostBridge[] = [];
  for (const at of eachNode(tree)) {
    const names = stringsOf(at.node, 'compatible') ?? [];
    const compatible = (['pci-host-ecam-generic', 'pci-host-cam-generic'] as const).find((name) =>
      names.includes(name),
    );
    if (!compatible || !isEnabled(at.node)) continue;
    const config = regOf(at)?.[0];
    if (!config) throw malformed(at, 'has no reg: where its config space lies is not known');
    found.push({
      path: at.path,
      compatible,
      config,
      buses: busRange(at, config.size / configSizes[compatible]),
      segment: u32Of(at.node, 'linux,pci-domain'),
      windows: windowsOf(at),
      dmaCoherent: propertyOf(at.node, 'dma-coherent') !== undefined,
      enumerationDone: (propertyOf(at.node, 'pci-enum-done')?.length ?? 0) > 0,
      probeOnly: probeOnly(at.node) ?? everywhere ?? false,
    });
  }
  return found;
}

/** Like the kernel: a value that is not one cell or more does not count, and neither side is asked then. */
function probeOnly(node: LocatedNode['node']): boolean | undefined {
  const value = propertyOf(node, 'linux,pci-probe-only');
  if (!value) return undefined;
  return value.length >= 4 && value.subarray(0, 4).some((byte) => byte !== 0);
}

function malformed(at: LocatedNode, what: string): Problem {
  return new Problem('devicetree-property', `host bridge ${at.path} ${what}`, { facts: { path: at.path } });
}

function busRange(at: LocatedNode, held: bigint): readonly [number, number] {
  const [first, last, ...rest] = cellsOf(at.node, 'bus-range') ?? [0, held > 256n ? 255 : Number(held) - 1];
  if (first === undefined || last === undefined || rest.length > 0 || first > last || last > 255) {
    throw malformed(
      at,
      `has the bus range ${[first, last, ...rest].join(' to ')}; two bus numbers from 0 to 255 were expected`,
    );
  }
  return [first, last];
}

function windowsOf(at: LocatedNode): PciWindow[] {
  const parent = at.ancestors.at(-1);
  const cells = childCells(at.node);
  if (!parent || cells.address !== PCI_ADDRESS_CELLS || cells.size !== PCI_SIZE_CELLS) {
    throw malformed(at, `has #address-cells ${cells.address} and #size-cells ${cells.size}; PCI needs 3 and 2`);
  }
  const above = childCells(parent).address;
  const entries = tuplesOf(at.node, 'ranges', PCI_ADDRESS_CELLS + above + PCI_SIZE_CELLS) ?? [];
  return entries.flatMap((entry) => {
    const high = entry[0] ?? 0;
    const base = joinCells(entry.slice(1, PCI_ADDRESS_CELLS));
    const size = joinCells(entry.slice(PCI_ADDRESS_CELLS + above));
    const named = (Object.keys(spaces) as BarType[]).find((type) => spaces[type] === (high & SPACE_MASK));
    // Space 0 is config space, and an empty window holds nothing: the kernel skips both.
    if (!named || size === 0n) return [];
    const end = base + size;
    if (end > ADDRESS_SPACE || (named === 'io' && end > FOUR_GIB)) {
      throw malformed(
        at,
        `has a window of ${hex(size)} bytes at bus address ${hex(base)}, which ends past its address space`,
      );
    }
    const cpuBase = cpuAddress(
      joinCells(entry.slice(PCI_ADDRESS_CELLS, PCI_ADDRESS_CELLS + above)),
      size,
      at.ancestors,
    );
    // Trees that call a window above 4 GiB 32-bit exist, and the kernel goes by the address.
    const type = named === 'mem32' && end > FOUR_GIB ? 'mem64' : named;
    return [{ type, base, size, cpuBase, prefetchable: (high & PREFETCHABLE) !== 0 }];
  });
}

/**
 * The value of `ranges` for a host bridge whose windows are these. `cpuBase` is written as it stands: the buses above the
 * host bridge have to translate 1:1, as on QEMU's boards.
 */
export function encodeWindows(
  at: LocatedNode,
  windows: readonly (HostWindow & { readonly prefetchable?: boolean })[],
): Uint8Array {
  const parent = at.ancestors.at(-1);
  const above = parent ? childCells(parent).address : 2;
  return encodeCells(
    windows.flatMap(({ type, base, cpuBase, size, prefetchable }) => [
      (spaces[type] | (prefetchable ? PREFETCHABLE : 0)) >>> 0,
      ...splitCells(base, PCI_ADDRESS_CELLS - 1),
      ...splitCells(cpuBase, above),
      ...splitCells(size, PCI_SIZE_CELLS),
    ]),
  );
}
