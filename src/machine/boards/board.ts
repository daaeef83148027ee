import type { AddressRange } from '../../address/range.js';
import type { Arch, HostWindow } from '../model.js';

/** What a board's memory map depends on. */
export interface BoardOptions {
  /** Guest RAM in bytes. */
  readonly ram: bigint;
  /** Board properties, as `-machine` takes them. */
  readonly properties: Readonly<Record<string, string | bigint | boolean>>;
}

/** A board's map: what `place` may assume where the machine file says nothing. */
export interface BoardMap {
  /** CPU addresses. */
  readonly ram: readonly AddressRange[];
  readonly hostBridge: {
    readonly id: string;
    readonly segment: number;
    readonly buses: readonly [number, number];
    /** Left out where they are not the board's to say. */
    readonly windows?: readonly HostWindow[];
  };
}

export interface Board {
  readonly name: string;
  readonly arch: Arch;
  /** Properties that move the map; any other is a mistake. */
  readonly properties: readonly string[];
  readonly map: (options: BoardOptions) => BoardMap;
}
