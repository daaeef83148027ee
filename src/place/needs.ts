import { ADDRESS_SPACE, FOUR_GIB } from '../address/kinds.js';
import type { BarType, Machine, MachineFunction } from '../machine/model.js';
import { eachFunction } from '../machine/model.js';
import type { Claim, Field, FunctionClaim } from './claims.js';
import type { Span, WindowKind } from './item.js';
import { granules } from './item.js';
import { isFunctionClaim, nameOf, reserveName } from './names.js';

/** Addresses that a claim asks for, as numbers. */
export interface Need {
  readonly claim: FunctionClaim;
  readonly name: string;
  readonly size: bigint;
  readonly align: bigint;
  /** Where it is pinned to, if it is a pin that is claimed. */
  readonly pin: Span | undefined;
  /** The last address that it may take, wherever it lies. */
  readonly ceiling: bigint;
  /** What it takes room in: host bridge windows on a root bus, or windows of the bridge above. */
  readonly onRoot: readonly BarType[];
  readonly inBridge: readonly WindowKind[];
  /** Bridges above it, innermost first. Hotplug room lies in its own bridge. */
  readonly above: readonly MachineFunction[];
  /** It is a bridge window. */
  readonly window: WindowKind | undefined;
}

const LOW = FOUR_GIB - 1n;
const HIGH = ADDRESS_SPACE - 1n;
const wide: readonly BarType[] = ['mem64', 'mem32'];

interface Shape {
  readonly size: bigint;
  readonly align: bigint;
  readonly type: BarType;
  readonly prefetchable: boolean;
  readonly pin?: bigint;
}

/** Finds functions on a machine, and tells what is asked for there. */
export class Sites {
  readonly #parents = new Map<MachineFunction, MachineFunction | null>();

  constructor(readonly machine: Machine) {
    for (const host of machine.hostBridges) {
      for (const { fn, parent } of eachFunction(host.functions)) this.#parents.set(fn, parent);
    }
  }

  /** The bridges above, innermost first. */
  above(fn: MachineFunction): MachineFunction[] {
    const bridges: MachineFunction[] = [];
    for (let at = this.#parents.get(fn); at; at = this.#parents.get(at)) bridges.push(at);
    return bridges;
  }

  /** What claims ask for in an address space: one each, but hotplug room of two kinds is two. */
  needsOf(claims: readonly Claim[], field: Field): Need[] {
    return claims.filter(isFunctionClaim).flatMap((claim) => this.#needs(claim, field));
  }

  #needs(claim: FunctionClaim, field: Field): Need[] {
    const { fn, subject, kind } = claim;
    if (subject === 'io' || subject === 'memory' || subject === 'prefetchable') return this.#window(claim, subject);
    if (subject === 'reserve') return this.#room(claim, field);
    const shape = shapeOf(claim);
    if (!shape) return [];
    const { size, align, type, prefetchable, pin } = shape;
    const excepted = type === 'mem64' && this.machine.allowNonPrefetchableInPrefetchable;
    return [
      {
        claim,
        name: nameOf(fn, subject),
        size,
        align,
        pin: kind === 'pin' && pin !== undefined ? { base: pin, limit: pin + size - 1n } : undefined,
        ceiling: type === 'mem64' ? HIGH : LOW,
        onRoot: type === 'mem64' ? wide : [type],
        inBridge: type === 'io' ? ['io'] : prefetchable || excepted ? ['memory', 'prefetchable'] : ['memory'],
        above: this.above(fn),
        window: undefined,
      },
    ];
  }

  #window(claim: FunctionClaim, kind: WindowKind): Need[] {
    const { fn } = claim;
    const range = fn.bridge?.pin[kind];
    if (!range) return [];
    return [
      {
        claim,
        name: nameOf(fn, kind),
        size: range.size,
        align: granules[kind],
        pin: range,
        ceiling: ceilingOf(fn, kind),
        onRoot: kind === 'io' ? ['io'] : kind === 'memory' ? ['mem32'] : wide,
        inBridge: kind === 'prefetchable' ? ['prefetchable', 'memory'] : [kind],
        above: this.above(fn),
        window: kind,
      },
    ];
  }

  #room(claim: FunctionClaim, field: Field): Need[] {
    const { fn } = claim;
    const kinds: readonly WindowKind[] = field === 'io' ? ['io'] : ['memory', 'prefetchable'];
    const asked = kinds.filter((kind) => (fn.bridge?.reserve[kind] ?? 0n) > 0n);
    return asked.map((kind) => ({
      claim,
      name: reserveName(fn, kind),
      size: fn.bridge?.reserve[kind] ?? 0n,
      align: 1n,
      pin: undefined,
      ceiling: ceilingOf(fn, kind),
      onRoot: [],
      inBridge: [kind],
      above: [fn, ...this.above(fn)],
      window: undefined,
    }));
  }
}

/** Of a BAR, a ROM or a group of VF BARs. */
export function shapeOf({ fn, subject }: Pick<FunctionClaim, 'fn' | 'subject'>): Shape | undefined {
  if (typeof subject === 'number') {
    const bar = fn.bars.find(({ index }) => index === subject);
    return bar && { ...bar, align: bar.size };
  }
  if (subject === 'rom') return fn.rom && { ...fn.rom, align: fn.rom.size, type: 'mem32', prefetchable: false };
  if (!subject?.startsWith('vf')) return undefined;
  const bar = fn.sriov?.bars.find(({ index }) => `vf${index}` === subject);
  return bar && { ...bar, align: bar.size, size: bar.size * BigInt(fn.sriov?.totalVfs ?? 0) };
}

/** The last address that a bridge's window can end at; -1: the bridge has no such window. */
export function ceilingOf({ bridge }: MachineFunction, kind: WindowKind): bigint {
  if (kind === 'memory') return LOW;
  const bits = bridge?.[kind] ?? 0;
  return bits === 0 ? -1n : (1n << BigInt(bits)) - 1n;
}
