import type { AddressRange } from '../../address/range.js';
import type { Arch, HostWindow, Machine } from '../model.js';
import type { QemuRelease } from './release.js';

/** What a board's memory map depends on. */
export interface BoardOptions {
  /** Guest RAM in bytes: QEMU's `-m`. */
  readonly ram: bigint;
  /** Board properties, as `-machine` takes them; `maxmem` and `slots` are those of `-m`. */
  readonly properties: Machine['properties'];
  /** Bits of a guest physical address, as the guest's CPU has them; undefined: as many as it takes. */
  readonly physicalAddressBits?: number | undefined;
  /** Left out: the newest release that is known. */
  readonly qemu?: QemuRelease | undefined;
}

/**
 * `device`: its registers answer there. `rom`: flash and other memory for firmware. `ecam`: PCI Express config space.
 * `kept`: nothing or only a part answers there, but the board puts nothing else there.
 */
export type RegionUse = 'device' | 'rom' | 'ecam' | 'kept';

/** Addresses that the board uses for something other than RAM and windows. */
export interface BoardRegion {
  readonly name: string;
  /** CPU addresses. On a PC, what lies below 1 MiB lies over RAM. */
  readonly range: AddressRange;
  readonly use: RegionUse;
}

/** A board's map: what `place` may assume where the machine file says nothing. */
export interface BoardMap {
  /** CPU addresses, in ascending order. */
  readonly ram: readonly AddressRange[];
  /** In ascending order. Beside the windows and, except below 1 MiB of a PC, beside RAM. */
  readonly regions: readonly BoardRegion[];
  readonly hostBridge: {
    readonly id: string;
    readonly segment: number;
    readonly buses: readonly [number, number];
    readonly windows: readonly HostWindow[];
    /** Windows that the board would have with more address bits. */
    readonly beyondAddressBits?: readonly HostWindow[];
  };
  /** What the numbers do not say, in whole sentences. */
  readonly notes: readonly string[];
}

/** A property that moves the map. */
export interface BoardProperty {
  readonly name: string;
  /** Values that it takes, for people. */
  readonly values: string;
  readonly what: string;
  /** The first QEMU release that knows it, where that is later than 7.2. */
  readonly since?: QemuRelease;
}

export interface Board {
  /** Unique, for people to type. */
  readonly id: string;
  /** As `-machine` takes it. */
  readonly name: string;
  readonly arch: Arch;
  readonly title: string;
  /** Any other is a mistake. */
  readonly properties: readonly BoardProperty[];
  /**
   * Where everything lies.
   * @throws Problem `board-property` (facts: `property`), `board-address-bits`, exit 1
   */
  readonly map: (options: BoardOptions) => BoardMap;
}
