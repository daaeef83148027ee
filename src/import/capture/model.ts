import type { AddressRange } from '../../address/range.js';
import type { BusAddress, CpuAddress, Size } from '../../address/kinds.js';
import type { Bdf } from '../../pci/bdf.js';
import type { ConfigBytes } from '../../pci/config-bytes.js';
import type { CapabilityFacts, DecodeBits } from '../function-facts.js';
import type { ReservedRegion, SeenIommu, SeenMapLine } from '../host-facts.js';
import type { ListingKind } from '../observation.js';

/**
 * What is known of a machine's PCI at one moment: a host before passthrough, or a guest. It is put together from what was
 * read (sysfs, lspci, a kernel's log, several of them) and says what was seen; what is absent was not shown.
 */
export interface Capture {
  readonly sources: readonly CaptureSource[];
  readonly host: CapturedHost;
  /** In order of segment and root bus. */
  readonly hostBridges: readonly CapturedHostBridge[];
  /** In order of number. */
  readonly iommuGroups: readonly CapturedGroup[];
  /** In order of address. */
  readonly functions: readonly CapturedFunction[];
  readonly iomem: readonly SeenMapLine[];
  readonly ioports: readonly SeenMapLine[];
  readonly missing: readonly Missing[];
  readonly conflicts: readonly Conflict[];
}

export interface CaptureSource {
  readonly name: string;
  readonly kind: ListingKind;
}

export interface CapturedHost {
  readonly kernel?: string;
  /** As `uname -m` says it. */
  readonly arch?: string;
  readonly commandLine?: string;
  readonly physicalAddressBits?: number;
  readonly iommus?: readonly SeenIommu[];
}

export interface CapturedHostBridge {
  readonly segment: number;
  /** The root bus. */
  readonly bus: number;
  /** The last bus number that is its own; undefined where only what is in use was seen. */
  readonly lastBus?: number;
  readonly numaNode?: number;
  /** Undefined where nothing tells them. */
  readonly windows?: readonly CapturedHostWindow[];
}

export interface CapturedHostWindow {
  readonly type: 'io' | 'mem32' | 'mem64';
  /** The operating system's number: of memory the CPU address, of I/O the port number. */
  readonly address: CpuAddress;
  readonly size: Size;
  /** The bus address of the same; undefined where only the system's side was seen. */
  readonly base?: BusAddress;
  /** Of an I/O window: where the CPU finds its ports in memory. */
  readonly cpuBase?: CpuAddress;
}

export interface CapturedGroup {
  readonly group: number;
  readonly reserved: readonly ReservedRegion[];
}

export interface CapturedFunction extends CapabilityFacts {
  readonly address: Bdf;
  /** The bridge above; null: it lies on a root bus. Undefined where that was not shown. */
  readonly parent?: Bdf | null;
  readonly vendor?: number;
  readonly device?: number;
  readonly subsystem?: { readonly vendor: number; readonly device: number };
  /** 24 bits. */
  readonly class?: number;
  readonly revision?: number;
  /** What a listing calls it, without ids. */
  readonly title?: string;
  /** Header layout: 0 a device, 1 a bridge. */
  readonly headerType?: number;
  /** Null: none is bound. */
  readonly driver?: string | null;
  /** Null: the kernel knows of none. */
  readonly numaNode?: number | null;
  readonly iommuGroup?: number;
  /** Of a virtual function: the physical one. */
  readonly physicalFunction?: Bdf;
  readonly decodes?: DecodeBits;
  readonly bars: readonly CapturedBar[];
  readonly rom?: CapturedResource;
  /** VF BARs of a physical function. */
  readonly vfBars: readonly CapturedVfBar[];
  /** Of a bridge: the bus numbers it routes. */
  readonly buses?: { readonly secondary: number; readonly subordinate?: number };
  readonly windows?: CapturedWindows;
  readonly config?: ConfigBytes;
}

/**
 * Where a resource lies. `address` is the operating system's number, which is the CPU address for memory; `busAddress` is
 * what the register holds. Either is undefined where it was not seen, or is none.
 */
export interface CapturedResource {
  readonly state: ResourceState;
  readonly address?: CpuAddress;
  readonly busAddress?: BusAddress;
  readonly size?: Size;
}

/**
 * `assigned`: it has its address. `decode-off`: so it has, and the function does not decode it. `os-only`: the system keeps
 * an address, and the register holds none. `unassigned`: it has none.
 */
export const resourceStates = ['assigned', 'decode-off', 'os-only', 'unassigned'] as const;
export type ResourceState = (typeof resourceStates)[number];

export interface CapturedBar extends CapturedResource {
  /** Undefined where the listing does not number BARs; the order is theirs then. */
  readonly index?: number;
  readonly type: ResourceType;
  readonly prefetchable?: boolean;
}

/** `memory`: 32 or 64 bits, which of both was not shown. */
export const resourceTypes = ['io', 'mem32', 'mem64', 'memory'] as const;
export type ResourceType = (typeof resourceTypes)[number];

/** The group of VF BAR `index`. `size` is one VF's, `groupSize` that of all. */
export interface CapturedVfBar extends CapturedBar {
  readonly index: number;
  readonly groupSize?: Size;
}

/** A bridge's windows; null is closed, undefined was not shown. */
export interface CapturedWindows {
  readonly io?: CapturedWindow | null;
  readonly memory?: CapturedWindow | null;
  readonly prefetchable?: CapturedWindow | null;
}
export const windowNames = ['io', 'memory', 'prefetchable'] as const;

/** At least one of both is there. */
export interface CapturedWindow {
  /** The operating system's numbers. */
  readonly range?: AddressRange;
  /** What the registers hold. */
  readonly busRange?: AddressRange;
}

/** Something that could not be read. */
export interface Missing {
  readonly what: string;
  /** `root`: only root may read it. `copy`: the copy does not hold it. `machine`: the machine does not show it. */
  readonly why: 'root' | 'copy' | 'machine';
  /** What it would have added. */
  readonly adds: string;
  /** How many functions lack it. */
  readonly functions?: number;
}

/** Two sources that do not agree; the first is what the capture holds. */
export interface Conflict {
  readonly address?: Bdf;
  readonly what: string;
  readonly values: readonly { readonly value: string; readonly from: string }[];
}

/** The bytes of a resource's address that other machines can be compared with: the bus address where it was seen. */
export const comparableAddress = ({ busAddress, address }: CapturedResource): bigint | undefined =>
  busAddress ?? address;
