import type { ResourceName } from '../observation.js';
import { match, type How, type Matched } from './match.js';
import type { ShotFunction, ShotResource, Snapshot } from './snapshot.js';

/**
 * What became of one resource from A to B. `moved`: another address. `resized`: another size. `lost`: it had an address.
 * `gained`: it had none. `appeared`, `vanished`: only one side has it. `not-comparable`: a side does not show where it is.
 */
export const changes = [
  'same',
  'moved',
  'resized',
  'lost',
  'gained',
  'appeared',
  'vanished',
  'not-comparable',
] as const;
export type Change = (typeof changes)[number];

export interface ResourceDiff {
  readonly name: ResourceName;
  readonly change: Change;
  /** Whether the verdict goes by it: ROMs and windows lie elsewhere in another machine, whatever was pinned. */
  readonly counts: boolean;
  readonly a?: ShotResource;
  readonly b?: ShotResource;
}

export interface FunctionDiff {
  readonly a: ShotFunction;
  readonly b: ShotFunction;
  readonly how: How;
  readonly resources: readonly ResourceDiff[];
}

/** Whether the functions of one IOMMU group have the addresses on both sides that DMA between them needs. */
export interface GroupDiff {
  readonly group: number;
  /** The side whose numbers the groups are. */
  readonly side: 'a' | 'b';
  /**
   * `holds`: every BAR of every function that both sides have. `differs`: one is elsewhere. `unknown`: a side does not show it.
   */
  readonly verdict: 'holds' | 'differs' | 'unknown';
  readonly functions: readonly ShotFunction[];
  /** Endpoints of the group that the other side does not have. */
  readonly absent: readonly ShotFunction[];
}

export interface Difference {
  /** `same`: nothing that both show differs. `nothing-comparable`: no function of one side is on the other. */
  readonly verdict: 'same' | 'differs' | 'nothing-comparable';
  readonly functions: readonly FunctionDiff[];
  readonly vanished: readonly ShotFunction[];
  readonly appeared: readonly ShotFunction[];
  readonly groups: readonly GroupDiff[];
}

/** What differs between two moments of a machine, or between a host, a plan and a guest. Pure. */
export function diff(a: Snapshot, b: Snapshot): Difference {
  const matched = match(a, b);
  const isOneMachine = a.kind === 'capture' && b.kind === 'capture';
  const functions = matched.pairs.map((pair) => ({
    ...pair,
    resources: resourcesOf(pair.a, pair.b, isOneMachine && pair.how === 'address'),
  }));
  const bad = functions.some(({ resources }) => resources.some(({ change, counts }) => counts && isBad(change)));
  return {
    verdict: functions.length === 0 ? 'nothing-comparable' : bad ? 'differs' : 'same',
    functions,
    vanished: matched.onlyA,
    appeared: matched.onlyB,
    groups: groupsOf(functions, matched),
  };
}

const isBar = (name: ResourceName): boolean => typeof name === 'number' || name.startsWith('vf');

const isBad = (change: Change): boolean => change === 'moved' || change === 'resized' || change === 'lost';

function resourcesOf(a: ShotFunction, b: ShotFunction, all: boolean): ResourceDiff[] {
  const names = [...new Set([...a.resources, ...b.resources].map(({ name }) => name))];
  return names.map((name) => {
    const one = a.resources.find((resource) => resource.name === name);
    const other = b.resources.find((resource) => resource.name === name);
    return {
      name,
      change: changeOf(one, other),
      counts: all || isBar(name),
      ...(one ? { a: one } : {}),
      ...(other ? { b: other } : {}),
    };
  });
}

function changeOf(a: ShotResource | undefined, b: ShotResource | undefined): Change {
  if (!a || !b) return a ? 'vanished' : 'appeared';
  if (!a.assigned || !b.assigned) return a.assigned ? 'lost' : b.assigned ? 'gained' : 'same';
  if (a.base === undefined || b.base === undefined) return 'not-comparable';
  if (a.base !== b.base) return 'moved';
  return a.size !== undefined && b.size !== undefined && a.size !== b.size ? 'resized' : 'same';
}

/** Groups of A, or of B where A shows none. */
function groupsOf(functions: readonly FunctionDiff[], { onlyA, onlyB }: Matched): GroupDiff[] {
  const side = [...functions.map(({ a }) => a), ...onlyA].some(({ iommuGroup }) => iommuGroup !== undefined)
    ? 'a'
    : 'b';
  const absent = (side === 'a' ? onlyA : onlyB).filter(({ isBridge }) => !isBridge);
  const numbers = new Set(functions.flatMap((pair) => pair[side].iommuGroup ?? []));
  return [...numbers]
    .sort((x, y) => x - y)
    .map((group) => {
      const own = functions.filter((pair) => pair[side].iommuGroup === group && !pair[side].isBridge);
      return {
        group,
        side,
        verdict: verdictOf(own),
        functions: own.map((pair) => pair[side]),
        absent: absent.filter(({ iommuGroup }) => iommuGroup === group),
      } as const;
    })
    .filter(({ functions: own }) => own.length > 0);
}

/** Memory BARs alone: nothing else is the target of DMA. */
function verdictOf(pairs: readonly FunctionDiff[]): GroupDiff['verdict'] {
  const bars = pairs
    .flatMap(({ resources }) => resources)
    .filter(({ name, a, b }) => typeof name === 'number' && (a ?? b)?.space === 'memory');
  if (bars.some(({ change }) => change !== 'same' && change !== 'not-comparable' && change !== 'appeared'))
    return 'differs';
  return bars.length === 0 || bars.some(({ change }) => change !== 'same') ? 'unknown' : 'holds';
}
