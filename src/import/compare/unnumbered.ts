import type { SeenResource } from '../observation.js';
import type { PlannedResource } from './planned.js';

type Pair = readonly [PlannedResource, SeenResource];

/** Which seen resource is which planned one, where the listing gives no numbers. */
export interface Pairing {
  readonly pairs: readonly Pair[];
  /** Planned resources for which more than one seen range could stand, each with the first of them. */
  readonly unclear: readonly Pair[];
}

export interface PairingOptions {
  /** The listing keeps the order of the BARs (lspci); /proc/iomem sorts by address. */
  readonly inOrder: boolean;
  /** Only the same size can be the same resource: so it is for BARs, and not for windows. */
  readonly bySize: boolean;
}

/**
 * Pairs what lies where it was planned first, as `kept` decides. What is left is paired by kind: in order where the
 * listing keeps an order, else only where one of a kind is left.
 */
export function pairUnnumbered(
  planned: readonly PlannedResource[],
  seen: readonly SeenResource[],
  { inOrder, bySize }: PairingOptions,
  kept: (planned: PlannedResource, seen: SeenResource) => boolean,
): Pairing {
  const pairs: Pair[] = [];
  const unclear: Pair[] = [];
  const free = new Set(seen);
  const open: PlannedResource[] = [];
  for (const resource of planned) {
    const found = [...free].find((candidate) => alike(resource, candidate, bySize) && kept(resource, candidate));
    if (found) {
      free.delete(found);
      pairs.push([resource, found]);
    } else open.push(resource);
  }
  for (const { candidates, alone, shared } of groupsOf(open, [...free], bySize)) {
    const [first] = candidates;
    if (!first) continue;
    const sure = !shared && candidates.length === alone.length && (inOrder || alone.length === 1);
    alone.forEach((resource, i) => {
      const candidate = candidates[i];
      if (sure && candidate) pairs.push([resource, candidate]);
      else unclear.push([resource, first]);
    });
  }
  return { pairs, unclear };
}

interface Group {
  readonly candidates: readonly SeenResource[];
  readonly alone: PlannedResource[];
  /** Another group could take some of the same candidates. */
  shared: boolean;
}

/** Planned resources that have the same candidates. */
function groupsOf(open: readonly PlannedResource[], free: readonly SeenResource[], bySize: boolean): Iterable<Group> {
  const groups = new Map<string, Group>();
  const takenBy = new Map<SeenResource, Group>();
  for (const resource of open) {
    const indexes = free.flatMap((candidate, i) => (alike(resource, candidate, bySize) ? [i] : []));
    const key = indexes.join();
    let group = groups.get(key);
    if (!group) {
      group = { candidates: indexes.flatMap((i) => free[i] ?? []), alone: [], shared: false };
      groups.set(key, group);
      for (const candidate of group.candidates) {
        const other = takenBy.get(candidate);
        if (other) other.shared = group.shared = true;
        else takenBy.set(candidate, group);
      }
    }
    group.alone.push(resource);
  }
  return groups.values();
}

/** Could be the same resource, by what the listing shows of it. */
function alike(planned: PlannedResource, seen: SeenResource, bySize: boolean): boolean {
  const same = <T>(a: T | undefined, b: T | undefined) => a === undefined || b === undefined || a === b;
  return (
    planned.range !== null &&
    planned.space === seen.space &&
    same(planned.wide, seen.wide) &&
    same(planned.prefetchable, seen.prefetchable) &&
    (!bySize || same(planned.range.size, seen.size))
  );
}
