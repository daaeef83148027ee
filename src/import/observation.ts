import type { Bdf } from '../pci/bdf.js';
import type { ConfigBytes } from '../pci/config-bytes.js';
import type { CapabilityFacts, DecodeBits } from './function-facts.js';
import type { SeenGroup, SeenHost, SeenMapLine, SeenRootBus } from './host-facts.js';
import type { Source } from './source.js';

export type { Source } from './source.js';

/**
 * What texts from a running machine say of its PCI functions: facts, each with the line it stands on. A fact that is
 * absent was not shown; it is never filled in. All readers of this folder produce observations, whatever they read.
 */

/** From what shows the present state best to what tells how it came about. */
export const listingKinds = [
  'capture',
  'sysfs',
  'lspci',
  'hex-dump',
  'device-tree',
  'iomem',
  'ioports',
  'hwloc',
  'lspci-tree',
  'iommu-groups',
  'dmesg',
] as const;
export type ListingKind = (typeof listingKinds)[number];

/** A BAR's number, the expansion ROM, the group of VF BAR n, or one of a bridge's windows. */
export type ResourceName = number | 'rom' | `vf${number}` | 'io' | 'memory' | 'prefetchable';

export type Space = 'io' | 'memory';

/** One listing, or one boot in a log. */
export interface Observation {
  readonly kind: ListingKind;
  readonly file: string;
  /** Which boot in this file, from 1; 0 where the file shows no boot. */
  readonly boot: number;
  readonly functions: readonly SeenFunction[];
  /** What the windows of a bus are, where the listing names the bus and not the bridge (`PCI Bus 0000:01`). */
  readonly busWindows: readonly SeenBusWindow[];
  /** Windows of host bridges (`root bus resource`). */
  readonly hostWindows: readonly SeenHostWindow[];
  readonly notes: readonly Note[];
  readonly host?: SeenHost;
  readonly rootBuses?: readonly SeenRootBus[];
  readonly groups?: readonly SeenGroup[];
  /** /proc/iomem or /proc/ioports as it stands, ready to be shown again. */
  readonly map?: readonly SeenMapLine[];
}

/** Something about the listing itself that its reader has to know. */
export interface Note {
  readonly code:
    'read-without-root' | 'capabilities-denied' | 'no-function-named' | 'cut-listing' | 'resource-numbers-unclear';
  readonly text: string;
  readonly source: Source;
}

export interface SeenFunction {
  readonly address: Bdf;
  readonly source: Source;
  readonly vendor?: number;
  readonly device?: number;
  /** 24 bits, or the upper 16 of them where the listing shows no programming interface (shifted left by 8). */
  readonly class?: number;
  readonly isBridge?: boolean;
  /** Of a bridge: the bus numbers it routes. */
  readonly buses?: SeenBuses;
  /** The bridge above, where the listing gives a path (sysfs, lspci -t); null: it lies on a root bus. */
  readonly parent?: Bdf | null;
  readonly revision?: number;
  readonly subsystem?: { readonly vendor: number; readonly device: number };
  /** Header layout: 0 a device, 1 a bridge. */
  readonly headerType?: number;
  /** What the listing calls it, without ids. */
  readonly title?: string;
  /** Null: no driver is bound. */
  readonly driver?: string | null;
  /** Null: the kernel knows of none. */
  readonly numaNode?: number | null;
  readonly iommuGroup?: number;
  /** The physical function that this virtual function belongs to. */
  readonly physicalFunction?: Bdf;
  readonly decodes?: DecodeBits;
  readonly capabilities?: CapabilityFacts;
  readonly config?: ConfigBytes;
  readonly resources: readonly SeenResource[];
}

export interface SeenBuses {
  readonly secondary: number;
  readonly subordinate?: number;
  readonly source: Source;
}

export interface SeenResource {
  /** Null: the listing does not number it (`lspci -v`, /proc/iomem). */
  readonly name: ResourceName | null;
  readonly space: Space;
  /** 64-bit BAR. */
  readonly wide?: boolean;
  readonly prefetchable?: boolean;
  /** Bytes; of a VF BAR group all VFs together, or one VF's, as the listing has it. */
  readonly size?: bigint;
  readonly placement: Placement;
  readonly numbers: Numbers;
  readonly source: Source;
}

/**
 * What an address counts. `kernel`: the operating system's resource number, which is the CPU address for memory and a
 * number of its own for I/O ports. `bus`: what the register holds. `either`: the tool prints one or the other.
 */
export type Numbers = 'kernel' | 'bus' | 'either';

export type Placement =
  | { readonly state: 'assigned'; readonly address: bigint }
  /** It has its address, and the function does not decode it. */
  | { readonly state: 'decode-off'; readonly address: bigint }
  /** The kernel keeps this address, and the register itself reads 0. */
  | { readonly state: 'os-only'; readonly address: bigint }
  | { readonly state: 'unassigned'; readonly why: UnassignedReason }
  /** A bridge window whose limit is below its base. */
  | { readonly state: 'closed' };

export type UnassignedReason = 'listed-so' | 'ignored' | 'no-space' | 'released' | 'not-claimed' | 'no-resource';

export interface SeenBusWindow {
  readonly segment: number;
  readonly bus: number;
  readonly space: Space;
  readonly address: bigint;
  readonly size: bigint;
  readonly source: Source;
}

/** A host bridge's window: kernel numbers from `address`, bus addresses from `busBase`. */
export interface SeenHostWindow {
  readonly segment: number;
  /** The root bus. */
  readonly bus: number;
  readonly space: Space;
  readonly address: bigint;
  readonly size: bigint;
  readonly busBase: bigint;
  /** Of an I/O window: where the CPU finds port `busBase`, where that is shown. */
  readonly cpuBase?: bigint;
  readonly source: Source;
}

export type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** A function while it is being read. */
export interface FunctionDraft extends Omit<Draft<SeenFunction>, 'resources'> {
  resources: SeenResource[];
}

/** One number for a function's address, to find it by: segments above 0xffff fit as well. */
export const bdfKey = (bdf: Bdf): number =>
  bdf.segment * 0x1_0000 + bdf.bus * 0x100 + (((bdf.device << 3) + bdf.fn) & 0xff);

/** More functions than any machine has; a text that names more is not believed, and the rest is passed over. */
export const MOST_FUNCTIONS = 0x1_0000;
/** A function has at most 18 resources in the kernel; what goes far beyond is not a listing. */
const MOST_RESOURCES = 64;

export function addResource(fn: FunctionDraft, resource: SeenResource): void {
  if (fn.resources.length < MOST_RESOURCES) fn.resources.push(resource);
}

/** Collects functions by address, in the order in which they appear. */
export class FunctionTable {
  readonly #byKey = new Map<number, FunctionDraft>();

  /** The function at this address; undefined where the table is full. */
  get(address: Bdf, source: Source): FunctionDraft | undefined {
    return this.#byKey.get(bdfKey(address)) ?? this.renew(address, source);
  }

  /** The same, forgetting what was known of it: a later listing of a function counts, not an earlier one. */
  renew(address: Bdf, source: Source): FunctionDraft | undefined {
    const key = bdfKey(address);
    if (this.#byKey.size >= MOST_FUNCTIONS && !this.#byKey.has(key)) return undefined;
    const fn: FunctionDraft = { address, source, resources: [] };
    this.#byKey.set(key, fn);
    return fn;
  }

  has(address: Bdf): boolean {
    return this.#byKey.has(bdfKey(address));
  }

  list(): FunctionDraft[] {
    return [...this.#byKey.values()];
  }
}
