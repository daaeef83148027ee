import type { AddressRange } from '../address/range.js';
import type { Source } from './source.js';

/** What a listing says of the machine as a whole. */
export interface SeenHost {
  /** `6.12.0-1-arm64`. */
  readonly kernel?: string;
  /** As `uname -m` says it. */
  readonly arch?: string;
  readonly commandLine?: string;
  /** Bits of a physical address that the CPU knows. */
  readonly physicalAddressBits?: number;
  readonly iommus?: readonly SeenIommu[];
  readonly source: Source;
}

/** An IOMMU by its name in /sys/class/iommu. */
export interface SeenIommu {
  readonly name: string;
  /** Bits of a DMA address that it can translate; undefined where it does not say. */
  readonly addressBits?: number;
}

/** A bus right behind a host bridge. */
export interface SeenRootBus {
  readonly segment: number;
  readonly bus: number;
  /** The last bus number below it; undefined where that is not shown. */
  readonly lastBus?: number;
  readonly numaNode?: number;
  readonly source: Source;
}

/** Kinds of reserved regions as Linux names them (drivers/iommu/iommu.c, iommu_group_resv_type_string). */
export interface SeenGroup {
  readonly number: number;
  readonly reserved: readonly ReservedRegion[];
  readonly source: Source;
}

export interface ReservedRegion {
  readonly range: AddressRange;
  /** `direct`, `direct-relaxable`, `reserved`, `msi`. */
  readonly type: string;
}

/** One line of /proc/iomem or /proc/ioports. */
export interface SeenMapLine {
  /** 0 for a line that is not indented. */
  readonly depth: number;
  readonly range: AddressRange;
  readonly name: string;
}
