import type { AddressRange } from '../address/range.js';
import type { BusAddress } from '../address/kinds.js';
import type { MachineFunction } from '../machine/model.js';

/** What a function's registers hold, as firmware or a kernel left them. Bus addresses. */
export interface Registers {
  readonly bus: number;
  /** By BAR number, `rom`, `vf0` (the address of the group). What is absent has no address. */
  readonly bars: ReadonlyMap<number | string, BusAddress>;
  /** The firmware gave the function up: what its BARs hold is no address. */
  readonly givenUp?: boolean;
  /** Why a BAR has no address. */
  readonly reasons?: (bar: number | string) => string;
  /** Of a bridge; a window that is null is closed. */
  readonly bridge?: BridgeRegisters;
}

export interface BridgeRegisters {
  readonly secondary: number;
  readonly subordinate: number;
  readonly io: AddressRange | null;
  readonly memory: AddressRange | null;
  readonly prefetchable: AddressRange | null;
}

/** What firmware hands over: registers by function, or why it stopped before that. */
export type Handover =
  | { readonly status: 'done'; readonly registers: ReadonlyMap<MachineFunction, Registers> }
  | { readonly status: 'stopped'; readonly reason: string };
