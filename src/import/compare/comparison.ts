import type { AddressRange } from '../../address/range.js';
import type { Bdf } from '../../pci/bdf.js';
import type { ListingKind, Note, ResourceName, Source } from '../observation.js';

/**
 * Of one planned resource. `holds`: it is where the plan put it. `disabled`: so it is, and the function does not decode it
 * (no driver has switched it on). `moved`: it is elsewhere, or of another size. `unassigned`: the guest gave it no
 * address, or its register holds none. `not-shown`: no listing says anything of it. `not-comparable`: a listing shows
 * something that cannot be held against the plan; `detail` says why.
 */
export const resourceStatuses = ['holds', 'moved', 'unassigned', 'disabled', 'not-shown', 'not-comparable'] as const;
export type ResourceStatus = (typeof resourceStatuses)[number];

/** What one listing says of one planned resource. */
export interface Fact {
  readonly listing: ListingKind;
  readonly status: Exclude<ResourceStatus, 'not-shown'>;
  /** The address as the listing prints it; undefined where it prints none. */
  readonly shown?: bigint;
  /** The same as a bus address. */
  readonly seen?: bigint;
  /** Bytes, where the listing says so. */
  readonly size?: bigint;
  readonly detail?: string;
  readonly source: Source;
}

export interface ResourceComparison {
  readonly name: ResourceName;
  readonly status: ResourceStatus;
  /** Bus addresses; null: a bridge window that is closed. */
  readonly planned: AddressRange | null;
  readonly pinned: boolean;
  /** Bus address in the guest, where that is known and differs from the plan. */
  readonly movedTo?: bigint;
  readonly detail?: string;
  /** The facts that decided come first. */
  readonly facts: readonly Fact[];
}

/**
 * `missing`: a listing shows the function's bus, or the bridge above it, and not the function. `not-scanned`: not seen,
 * and operating systems do not look for it: function 0 of its device is not there (PCI Local Bus 3.0 §3.2.2.3.4).
 */
export type Presence = 'seen' | 'missing' | 'not-shown' | 'not-scanned';

export interface FunctionComparison {
  readonly id: string;
  readonly planned: Bdf;
  /** Where the guest has it; differs from `planned` where the guest numbered buses anew. */
  readonly seen?: Bdf;
  readonly presence: Presence;
  readonly detail?: string;
  readonly sources: readonly Source[];
  readonly resources: readonly ResourceComparison[];
}

/** A bridge whose bus numbers in the guest are not the plan's. Functions behind it were matched by their path. */
export interface Renumbered {
  readonly id: string;
  readonly address: Bdf;
  readonly planned: { readonly secondary: number; readonly subordinate: number };
  readonly seen: { readonly secondary: number; readonly subordinate?: number };
  readonly source: Source;
}

export interface ExtraFunction {
  readonly address: Bdf;
  readonly source: Source;
}

/**
 * `holds`: every planned resource is where the plan put it. `incomplete`: so is all that was shown, and something was
 * not. `differs`: something moved, has no address, or is missing. `nothing-comparable`: the listings show nothing of
 * this plan.
 */
export type Verdict = 'holds' | 'incomplete' | 'differs' | 'nothing-comparable';

export interface Comparison {
  readonly verdict: Verdict;
  readonly counts: Readonly<Record<ResourceStatus, number>> & {
    readonly functions: number;
    readonly missing: number;
    readonly extra: number;
  };
  /** In the order of the plan. */
  readonly functions: readonly FunctionComparison[];
  readonly renumbered: readonly Renumbered[];
  /** Functions of the guest that the plan does not have, in order of bus address. */
  readonly extra: readonly ExtraFunction[];
  readonly notes: readonly Note[];
  /** The boots that were compared: the last one with PCI lines in each file that shows boots. */
  readonly boots: readonly { readonly file: string; readonly boot: number; readonly of: number }[];
}
