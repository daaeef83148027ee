import { alignDown, alignUp, maxOf, minOf } from '../address/align.js';
import { hex } from '../address/format.js';
import { ADDRESS_SPACE } from '../address/kinds.js';
import type { BarType, HostBridge, HostWindow, Machine, MachineFunction } from '../machine/model.js';
import type { Claim, Field, ReservedClaim } from './claims.js';
import type { Span, WindowKind } from './item.js';
import { granules } from './item.js';
import { nameOf, namesOf, reservedName, spanOf, windowName } from './names.js';
import type { Need } from './needs.js';
import { ceilingOf, Sites } from './needs.js';

/** How a need comes to lie in or behind a bridge: in which window, and at which addresses at most. */
export interface Way extends Span {
  readonly kind: WindowKind;
  /** The pinned bridge window that sets these bounds. */
  readonly pinned: string | undefined;
}

/** A host bridge window in which a need can be met, or as much of it as can be used. */
export interface Place extends Span {
  readonly window: HostWindow;
  readonly name: string;
}

/** Addresses that a need cannot have. */
export interface Obstacle extends Span {
  readonly what: string;
  /** What is said of an address there: `meets RAM at …`. */
  readonly fate: string;
  /** What is claimed of it. */
  readonly claims: readonly Claim[];
  /** The need is behind a bridge there: it is met as soon as its step of the bridge's window is. */
  readonly inSteps: boolean;
}

export type Pinned = Need & { readonly pin: Span };

export const isPinned = (need: Need): need is Pinned => need.pin !== undefined;

/** `dev0 BAR 2 at 0x8040000000-0x807fffffff`. */
export const atPin = ({ name, pin }: Pinned): string => `${name} at ${spanOf(pin)}`;

export const meets = (a: Span, b: Span): boolean => a.base <= b.limit && b.base <= a.limit;
export const holds = (outer: Span, inner: Span): boolean => outer.base <= inner.base && inner.limit <= outer.limit;
export const spanOfWindow = ({ base, size }: HostWindow): Span => ({ base, limit: base + size - 1n });

type AddressField = Exclude<Field, 'buses'>;

export const rootTypes: Readonly<Record<WindowKind, readonly BarType[]>> = {
  io: ['io'],
  memory: ['mem32'],
  prefetchable: ['mem64', 'mem32'],
};
export const kindsAbove: Readonly<Record<WindowKind, readonly WindowKind[]>> = {
  io: ['io'],
  memory: ['memory'],
  prefetchable: ['prefetchable', 'memory'],
};

/** What claims come to, as far as that can be told without a search: what is said here holds for every plan of them. */
export class Evidence {
  readonly needs: readonly Need[];
  readonly reserved: readonly ReservedClaim[];
  /** Bridge windows start and end at multiples of this. */
  readonly step: bigint;
  readonly #windows = new Map<MachineFunction, Pinned[]>();

  constructor(
    readonly machine: Machine,
    readonly field: AddressField,
    claims: readonly Claim[],
  ) {
    this.needs = new Sites(machine).needsOf(claims, field);
    this.reserved = claims.filter((claim) => claim.kind === 'reserved');
    this.step = granules[field];
    for (const need of this.needs) {
      const { fn } = need.claim;
      if (need.window && isPinned(need)) this.#windows.set(fn, [...(this.#windows.get(fn) ?? []), need]);
    }
  }

  hostOf(need: Need): HostBridge | undefined {
    return this.machine.hostBridges[need.claim.host];
  }

  /** Where a window of a bridge is claimed to be. */
  windowOf(bridge: MachineFunction, kind: WindowKind): Pinned | undefined {
    return this.#windows.get(bridge)?.find((need) => need.window === kind);
  }

  /** In whole steps of bridge windows. */
  rounded({ base, limit }: Span): Span {
    return { base: alignDown(base, this.step), limit: alignUp(limit + 1n, this.step) - 1n };
  }

  /** The smallest bridge window around pins. */
  hullOf(pins: readonly Pinned[]): Span {
    const [first] = pins;
    if (!first) throw new Error('a window around nothing');
    const hull = pins.reduce(
      (all, { pin }) => ({ base: minOf(all.base, pin.base), limit: maxOf(all.limit, pin.limit) }),
      { base: first.pin.base, limit: first.pin.limit },
    );
    return this.rounded(hull);
  }

  /** The ways to lie in or behind a bridge above, of those that leave room for a pin that of the pin. */
  waysInto(need: Need, above: MachineFunction): readonly Way[] {
    const ways = this.allWaysInto(need, above);
    const { pin } = need;
    return pin ? ways.filter((way) => holds(way, pin)) : ways;
  }

  allWaysInto(need: Need, above: MachineFunction): readonly Way[] {
    let open = [{ kinds: need.inBridge, base: 0n, limit: need.ceiling, pinned: undefined as string | undefined }];
    for (const bridge of need.above) {
      const ways = open.flatMap(({ kinds, ...bounds }) =>
        kinds.flatMap((kind) => this.#through(bridge, { ...bounds, kind }) ?? []),
      );
      if (bridge === above) return ways;
      open = ways.map(({ kind, ...bounds }) => ({ kinds: kindsAbove[kind], ...bounds }));
    }
    return [];
  }

  #through(bridge: MachineFunction, way: Way): Way | null {
    const window = this.windowOf(bridge, way.kind);
    const base = maxOf(way.base, window?.pin.base ?? 0n);
    const limit = minOf(minOf(way.limit, ceilingOf(bridge, way.kind)), window?.pin.limit ?? ADDRESS_SPACE);
    if (limit < base) return null;
    const pinned = window ? `${window.name} (pinned to ${spanOf(window.pin)})` : way.pinned;
    return { kind: way.kind, base, limit, pinned };
  }

  /** Where on its host bridge a need can be met, whatever it is pinned to. */
  placesOf(need: Need): readonly Place[] {
    const top = need.above.at(-1);
    const ways = top
      ? this.allWaysInto(need, top).map((way) => ({ ...way, types: rootTypes[way.kind] }))
      : [{ base: 0n, limit: need.ceiling, pinned: undefined, types: need.onRoot }];
    const all = ways.flatMap(({ types, pinned, ...way }) =>
      (this.hostOf(need)?.windows ?? []).flatMap((window): Place[] => {
        const own = spanOfWindow(window);
        const bounds = { base: maxOf(way.base, own.base), limit: minOf(way.limit, own.limit) };
        if (!types.includes(window.type) || bounds.limit < bounds.base) return [];
        return [{ ...bounds, window, name: pinned ?? pieceName(window, bounds) }];
      }),
    );
    return all.filter(
      (one, i) =>
        !all.some((other, j) => other.window === one.window && holds(other, one) && (j < i || !holds(one, other))),
    );
  }

  /** Reserved ranges, RAM and the end of what the CPU can address, as bus addresses in a host bridge window. */
  blockedIn({ cpuBase, base: windowBase }: HostWindow, inSteps: boolean): readonly Obstacle[] {
    if (this.field === 'io') return [];
    const shift = cpuBase - windowBase;
    const blocked: Obstacle[] = [];
    for (const claim of this.reserved) {
      const { base, limit } = claim.range;
      const what = reservedName(claim);
      blocked.push({ base, limit, ...met(what), claims: [claim], inSteps });
      if (shift === 0n || limit < shift) continue;
      const seen = { base: maxOf(base - shift, 0n), limit: limit - shift };
      blocked.push({ ...seen, ...met(`${what}, on the bus ${spanOf(seen)}`), claims: [claim], inSteps });
    }
    const bits = this.machine.physicalAddressBits;
    if (bits === undefined) return blocked;
    const base = maxOf((1n << BigInt(bits)) - shift, 0n);
    if (base >= ADDRESS_SPACE) return blocked;
    const what = `what lies beyond the CPU's ${bits} address bits (${hex((1n << BigInt(bits)) - 1n)})`;
    const fate = `reaches beyond the CPU's ${bits} address bits (${hex((1n << BigInt(bits)) - 1n)})`;
    return [...blocked, { base, limit: ADDRESS_SPACE - 1n, what, fate, claims: [], inSteps }];
  }

  /** Whether `window` is a bridge window that `need` may lie in or behind. */
  #canHold({ window, claim: { fn } }: Need, need: Need): boolean {
    return window !== undefined && this.allWaysInto(need, fn).some(({ kind }) => kind === window);
  }

  /** Pins on the same host bridge, `without` some: each as what there is of it where the bridges above the two part. */
  pinsBeside(need: Need, without: readonly Need[] = [need]): readonly Obstacle[] {
    const path = need.above.toReversed();
    const alone: Obstacle[] = [];
    const windows = new Map<string, { bridge: MachineFunction; kind: WindowKind; inSteps: boolean; pins: Pinned[] }>();
    for (const other of this.needs.filter(isPinned)) {
      if (without.some(({ claim }) => claim === other.claim) || other.claim.host !== need.claim.host) continue;
      if (this.#canHold(other, need) || this.#canHold(need, other)) continue;
      const own = other.above.toReversed();
      const parting = own.findIndex((fn, i) => fn !== path[i]);
      const bridge = own[parting];
      const inSteps = path.length > (bridge ? parting : own.length);
      const [way, another] = bridge ? this.waysInto(other, bridge) : [];
      if (!bridge || !way || another) {
        // Which of the bridge's windows is around it is open; one of them is.
        const span = bridge ? this.rounded(other.pin) : other.pin;
        alone.push({ ...span, ...met(atPin(other)), claims: [other.claim], inSteps });
        continue;
      }
      const key = `${bridge.id} ${way.kind}`;
      const known = windows.get(key);
      if (known) known.pins.push(other);
      else windows.set(key, { bridge, kind: way.kind, inSteps, pins: [other] });
    }
    const around = [...windows.values()].map(({ bridge, kind, inSteps, pins }): Obstacle => {
      const hull = this.hullOf(pins);
      const [only] = pins;
      const exact = pins.length === 1 && only && holds(only.pin, hull);
      const what = exact ? atPin(only) : `${nameOf(bridge, kind)}, at least ${spanOf(hull)} around ${namesOf(pins)}`;
      return { ...hull, ...met(what), claims: pins.map(({ claim }) => claim), inSteps };
    });
    return [...alone, ...around];
  }
}

const met = (what: string) => ({ what, fate: `meets ${what}` });

function pieceName(window: HostWindow, bounds: Span): string {
  return holds(bounds, spanOfWindow(window)) ? windowName(window) : `${windowName(window)} (of it ${spanOf(bounds)})`;
}
