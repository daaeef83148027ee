import { deviceFunction } from '../../pci/bdf.js';
import { bdfKey } from '../observation.js';
import { deviceId, portId } from '../machine/guest-tree.js';
import { shapeOf, type ShotFunction, type Snapshot } from './snapshot.js';

/** How a function of one side was found on the other. */
export type How = 'id' | 'address' | 'serial' | 'kind' | 'order' | 'bars';

export interface Pair {
  readonly a: ShotFunction;
  readonly b: ShotFunction;
  readonly how: How;
}

export interface Matched {
  readonly pairs: readonly Pair[];
  readonly onlyA: readonly ShotFunction[];
  readonly onlyB: readonly ShotFunction[];
}

/** Vendor, device and subsystem; undefined where they are not known. */
function kindOf({ vendor, device, subsystem }: ShotFunction): string | undefined {
  if (vendor === undefined || device === undefined) return undefined;
  return [vendor, device, subsystem?.vendor ?? 0, subsystem?.device ?? 0].join(':');
}

/** A host's BAR sizes; undefined where there is nothing to tell it by. */
function barsOf(fn: ShotFunction): string | undefined {
  const shape = shapeOf(fn);
  return fn.isBridge || shape === '' || shape.includes('?') ? undefined : shape;
}

/** Whether two functions at one address may be the same: by ids where both have them, else by their BARs. */
function maybeSame(a: ShotFunction, b: ShotFunction): boolean {
  if (a.id !== undefined && b.id !== undefined) return a.id === b.id;
  const [kindA, kindB] = [kindOf(a), kindOf(b)];
  if (kindA !== undefined && kindB !== undefined) return kindA === kindB;
  if (a.isBridge !== b.isBridge) return false;
  const [barsA, barsB] = [barsOf(a), barsOf(b)];
  return barsA === undefined || barsB === undefined || barsA === barsB;
}

/**
 * Pairs the functions of two snapshots, the surest way first: the id that `import --devices` gives, the address, the serial
 * number, the only one of its kind, the same number of a kind in the order of addresses, and where a side has no ids the same BARs.
 */
export function match(a: Snapshot, b: Snapshot): Matched {
  const leftA = new Set(a.functions);
  const leftB = new Set(b.functions);
  const pairs: Pair[] = [];
  const take = (one: ShotFunction, other: ShotFunction, how: How) => {
    pairs.push({ a: one, b: other, how });
    leftA.delete(one);
    leftB.delete(other);
  };
  /** Pairs what has the same key, once on each side; with `inOrder` also equal numbers of them. */
  const by = (key: (fn: ShotFunction) => string | undefined, how: How, inOrder = false) => {
    const others = grouped(leftB, key);
    for (const [value, own] of grouped(leftA, key)) {
      const found = others.get(value) ?? [];
      if (own.length !== found.length || (own.length > 1 && !inOrder)) continue;
      own.forEach((one, i) => {
        const other = found[i];
        if (other) take(one, other, own.length > 1 ? 'order' : how);
      });
    }
  };
  const idOf = ({ id, address, isBridge }: ShotFunction) => id ?? (isBridge ? portId : deviceId)(address);
  if (a.kind === 'plan' || b.kind === 'plan') by(idOf, 'id');
  const atB = new Map([...leftB].map((fn) => [bdfKey(fn.address), fn]));
  for (const one of [...leftA]) {
    const other = atB.get(bdfKey(one.address));
    if (other && leftB.has(other) && maybeSame(one, other)) take(one, other, 'address');
  }
  by((fn) => (fn.serial === undefined ? undefined : `${fn.serial} ${deviceFunction(fn.address) & 7}`), 'serial');
  by(kindOf, 'kind');
  by(kindOf, 'kind', true);
  if (a.kind === 'plan' || b.kind === 'plan') by(barsOf, 'bars', true);
  const position = new Map(a.functions.map((fn, i) => [fn, i]));
  pairs.sort((one, other) => (position.get(one.a) ?? 0) - (position.get(other.a) ?? 0));
  return { pairs, onlyA: [...leftA], onlyB: [...leftB] };
}

function grouped(functions: Iterable<ShotFunction>, key: (fn: ShotFunction) => string | undefined) {
  const groups = new Map<string, ShotFunction[]>();
  for (const fn of functions) {
    const value = key(fn);
    if (value === undefined) continue;
    const known = groups.get(value);
    if (known) known.push(fn);
    else groups.set(value, [fn]);
  }
  return groups;
}
