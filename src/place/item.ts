import { ADDRESS_SPACE, FOUR_GIB, KiB, MiB } from '../address/kinds.js';
import type { BarType, MachineFunction } from '../machine/model.js';
import type { ConstraintSubject } from './plan.js';

export type WindowKind = 'io' | 'memory' | 'prefetchable';

/** First and last address, both included. */
export interface Span {
  readonly base: bigint;
  readonly limit: bigint;
}

/**
 * Something that needs addresses: a BAR, a ROM, a VF BAR group, hotplug room, or a bridge window with its contents; or
 * several BARs in one that are alike. The mutable fields belong to the solver that runs on it.
 */
export interface Item {
  /** Of several, the first one's. */
  readonly fn: MachineFunction;
  /** A window's is its kind. */
  readonly subject: ConstraintSubject;
  /** Index of the host bridge in the machine. */
  readonly host: number;
  /** Host bridge windows that it may lie in when it is on a root bus, the preferred first. */
  readonly tracks: readonly BarType[];
  /** Null for what is not a bridge window. */
  readonly window: WindowDemand | null;
  /** How many are alike; more than one only of what has its size as alignment. */
  count: number;
  /** Of each. */
  size: bigint;
  align: bigint;
  /** The last address that it may take. */
  ceiling: bigint;
  /** What cannot move: the pin, or for a window the hull of the pins inside. */
  fixed: Span | null;
  /** Bus addresses. */
  places: Run[];
  /** Where they lie in a window that has no address yet, from its base. */
  runs: Run[];
  /** How many have no place yet. */
  left: number;
}

/** Some that are alike, one right after the other. Whoever gives out their addresses takes them from here, one by one. */
export interface Run {
  /** Where the first one lies. */
  at: bigint;
  count: number;
}

export interface WindowDemand {
  readonly kind: WindowKind;
  /** A window's base is a multiple of this, and its limit one less than a multiple. */
  readonly granule: bigint;
  /** The last address that the window's registers can say. */
  readonly ceiling: bigint;
  readonly pin: Span | undefined;
  readonly items: readonly Item[];
}

/** PCI-to-PCI Bridge Architecture 1.2 §3.2.5.6 (I/O), §3.2.5.8 (memory), §3.2.5.9 (prefetchable). */
export const granules: Readonly<Record<WindowKind, bigint>> = { io: 4n * KiB, memory: MiB, prefetchable: MiB };

/** The last address of what has 32 bits, and of what has 64. */
export const LOW = FOUR_GIB - 1n;
export const HIGH = ADDRESS_SPACE - 1n;

/** Something behind a bridge that has no window for it. */
export interface Homeless {
  readonly fn: MachineFunction;
  readonly subject: ConstraintSubject;
  readonly bridge: MachineFunction;
  readonly window: WindowKind;
}

/** Decisions by {@link Choice} key. */
export type Decisions = ReadonlyMap<string, WindowKind>;

/** A resource that may lie in either of two windows of the bridge above it; the first is what a reader expects. */
export class Choice {
  readonly key: string;

  constructor(
    readonly item: Item,
    private readonly parent: MachineFunction,
    readonly options: readonly [WindowKind, WindowKind],
  ) {
    this.key = choiceKey(item.fn, item.subject);
  }

  /** Unpinned choices with the same group can stand for each other. Null: this one stands alone. */
  get group(): string | null {
    const { window, fixed, size, align, ceiling } = this.item;
    if (window !== null || fixed !== null) return null;
    return `${this.parent.id} ${size}/${align} ${ceiling} ${this.options[0]}`;
  }
}

export const choiceKey = (fn: MachineFunction, subject: ConstraintSubject): string => `${fn.id}/${subject}`;

/** What comes to lie in one place: on a root bus, or in a bridge window. */
export class Shelf {
  readonly items: Item[] = [];
  readonly #alike = new Map<number, Item>();

  /** The item that one more BAR of this shape belongs to. */
  alike(shape: number, size: bigint): Item | undefined {
    const item = this.#alike.get(shape);
    return item?.size === size ? item : undefined;
  }

  add(item: Item, shape: number | null = null): void {
    this.items.push(item);
    if (shape !== null) this.#alike.set(shape, item);
  }
}
