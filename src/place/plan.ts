import type { AddressRange } from '../address/range.js';
import type { BusAddress, Size } from '../address/kinds.js';
import type { Bdf } from '../pci/bdf.js';
import type { BarType, HostWindow } from '../machine/model.js';

/** Where everything lies. All addresses are bus addresses, what the registers hold; ranges include both ends. */
export interface Plan {
  readonly status: 'placed';
  /** Guest RAM, CPU addresses. */
  readonly ram: readonly AddressRange[];
  readonly hostBridges: readonly PlannedHostBridge[];
  /** In order of bus address. */
  readonly bridges: readonly PlannedBridge[];
  /** Every function, bridges included, in order of bus address. */
  readonly functions: readonly PlannedFunction[];
}

export interface PlannedHostBridge {
  readonly id: string;
  readonly segment: number;
  /** First and last bus number in use. */
  readonly buses: readonly [number, number];
  readonly windows: readonly HostWindow[];
}

export interface PlannedBridge {
  readonly id: string;
  readonly address: Bdf;
  readonly primary: number;
  readonly secondary: number;
  readonly subordinate: number;
  /** Windows: null is closed. */
  readonly io: AddressRange | null;
  readonly memory: AddressRange | null;
  readonly prefetchable: AddressRange | null;
}

export interface PlannedFunction {
  readonly id: string;
  readonly address: Bdf;
  readonly bars: readonly PlannedBar[];
  readonly rom?: PlannedRom;
  readonly sriov?: { readonly bars: readonly PlannedVfBar[] };
}

export interface PlannedBar {
  readonly index: number;
  readonly type: BarType;
  readonly prefetchable: boolean;
  readonly size: Size;
  readonly address: BusAddress;
  readonly pinned: boolean;
  /** The size before, of a resizable BAR that is to have another. */
  readonly resizedFrom?: Size | undefined;
}

export interface PlannedRom {
  readonly size: Size;
  readonly address: BusAddress;
  readonly pinned: boolean;
}

/** `size` is one VF's; the group takes `size` x `count` from `address`. */
export interface PlannedVfBar extends PlannedBar {
  readonly count: number;
}

/** Why there is no valid plan: constraints that cannot hold together, none of which can be left out. */
export interface Infeasible {
  readonly status: 'infeasible';
  readonly conflict: Conflict;
  readonly remedies: readonly Remedy[];
  /** Given where `stop` ended the search for remedies: there may be more. */
  readonly stopped?: true;
}

export interface Conflict {
  /** One paragraph in plain words, with the arithmetic. */
  readonly summary: string;
  readonly constraints: readonly Constraint[];
  /** Given where the search for a smaller conflict reached its limit: some of the constraints may not be needed. */
  readonly minimal?: false;
}

export const constraintKinds = ['pin', 'size', 'window', 'reserved', 'bridge', 'bus-range', 'address-bits'] as const;
export type ConstraintKind = (typeof constraintKinds)[number];

/** What a constraint of a function is about: a BAR's number or one of these. */
export type ConstraintSubject =
  number | 'rom' | `vf${number}` | 'io' | 'memory' | 'prefetchable' | 'secondary' | 'subordinate' | 'reserve';

export interface Constraint {
  readonly kind: ConstraintKind;
  /** A function's id, or a host bridge's for `window` and `bus-range`. */
  readonly id?: string;
  readonly bar?: ConstraintSubject;
  /** With `window`. */
  readonly type?: BarType;
  /** With `window` and `reserved`: a bus address. */
  readonly base?: BusAddress;
  readonly detail: string;
}

export interface Remedy {
  readonly change: string;
  /** True: the changed machine was solved and its plan is valid. */
  readonly verified: boolean;
}

/** The search reached its limit of steps or was stopped: there may be a plan or none. */
export interface Undecided {
  readonly status: 'undecided';
  readonly summary: string;
}

export type PlanResult = Plan | Infeasible | Undecided;
