import type { Plan } from '../../place/plan.js';
import { bdfKey, type Observation } from '../observation.js';
import { compareBdf } from '../../pci/bdf.js';
import { BusAddresses } from './bus-address.js';
import {
  resourceStatuses,
  type Comparison,
  type ExtraFunction,
  type Fact,
  type FunctionComparison,
  type Renumbered,
  type ResourceComparison,
  type ResourceStatus,
} from './comparison.js';
import { factsOf } from './facts.js';
import { plannedPlaces, type PlannedResource } from './planned.js';
import { presenceOf } from './presence.js';
import { selectLast } from './select.js';
import { withoutUniformShift } from './shift.js';
import { busKey, viewsOf, type View } from './view.js';

/**
 * Compares a plan with what a guest showed, function by function. Nothing is inferred from what a listing leaves out,
 * except that a function is missing where its bus or the bridge above it is shown.
 * @param options.boot take this boot (from 1) of every file instead of the last one that shows anything.
 */
export function compare(
  plan: Plan,
  observations: readonly Observation[],
  options: { readonly boot?: number } = {},
): Comparison {
  const selection = selectLast(observations, options.boot);
  const views = viewsOf(plan, selection.observations);
  const hostWindows = selection.observations.flatMap((seen) => seen.hostWindows);
  const addresses = new BusAddresses(plan, hostWindows);
  const places = plannedPlaces(plan);
  const facts = withoutUniformShift(
    places,
    places.map((place) => factsOf(place, views, addresses)),
  );
  const bridges = new Map(
    plan.bridges.map((bridge) => [busKey(bridge.address.segment, bridge.secondary), bridge.address]),
  );
  const functions = places.map(({ fn, resources }, i): FunctionComparison => ({
    id: fn.id,
    planned: fn.address,
    ...presenceOf(plan, fn.address, bridges.get(busKey(fn.address.segment, fn.address.bus)), views),
    resources: resources.flatMap((resource, j) => resolve(resource, facts[i]?.[j] ?? [])),
  }));
  const extra = extraOf(plan, views);
  return {
    ...summary(functions, extra.length),
    functions,
    renumbered: renumberedIn(views),
    extra,
    notes: selection.observations.flatMap((seen) => seen.notes),
    boots: selection.boots,
  };
}

/** Boots that {@link compareBoots} looks at: the last ones. */
const MOST_BOOTS = 64;

/** The comparison of each boot that the files show, by its number; empty where they show none. */
export function compareBoots(
  plan: Plan,
  observations: readonly Observation[],
): { readonly boot: number; readonly comparison: Comparison }[] {
  const boots = [...new Set(observations.map(({ boot }) => boot))].filter((boot) => boot > 0).sort((a, b) => a - b);
  return boots.slice(-MOST_BOOTS).map((boot) => ({ boot, comparison: compare(plan, observations, { boot }) }));
}

/** From bad to good: what any listing of the present state shows to be off decides. */
const severity: readonly Fact['status'][] = ['moved', 'unassigned', 'disabled', 'holds'];

/** One status out of all facts: listings of the present state before the kernel's log, which tells how it came about. */
function resolve(resource: PlannedResource, facts: readonly Fact[]): ResourceComparison[] {
  const { name, range: planned, pinned } = resource;
  const deciding = facts.filter((fact) => fact.status !== 'not-comparable');
  const present = deciding.filter((fact) => fact.listing !== 'dmesg');
  const ordered = (present.length > 0 ? present : deciding).toSorted(
    (a, b) => severity.indexOf(a.status) - severity.indexOf(b.status),
  );
  const first = ordered[0] ?? facts[0];
  if (!first) {
    // Listings leave closed windows out.
    return planned === null ? [] : [{ name, status: 'not-shown', planned, pinned, facts: [] }];
  }
  return [
    {
      name,
      status: first.status,
      planned,
      pinned,
      ...(first.status === 'moved' && first.seen !== undefined ? { movedTo: first.seen } : {}),
      ...(first.detail === undefined ? {} : { detail: first.detail }),
      facts: [...ordered, ...facts.filter((fact) => !ordered.includes(fact))],
    },
  ];
}

function extraOf(plan: Plan, views: readonly View[]): ExtraFunction[] {
  const extra = new Map<number, ExtraFunction>();
  for (const { numbering, shown } of views) {
    const expected = new Set(
      plan.functions.map(({ address }) => numbering.guest(address)).map((at) => at && bdfKey(at)),
    );
    for (const [key, { address, source }] of shown.functions) {
      if (!expected.has(key) && !extra.has(key)) extra.set(key, { address, source });
    }
  }
  return [...extra.values()].sort((a, b) => compareBdf(a.address, b.address));
}

function renumberedIn(views: readonly View[]): Renumbered[] {
  const byId = new Map<string, Renumbered>();
  for (const bridge of views.flatMap(({ numbering }) => numbering.renumbered)) {
    if (!byId.has(bridge.id)) byId.set(bridge.id, bridge);
  }
  return [...byId.values()];
}

function summary(functions: readonly FunctionComparison[], extra: number): Pick<Comparison, 'verdict' | 'counts'> {
  const scanned = functions.filter(({ presence }) => presence !== 'not-scanned');
  const statuses = Object.fromEntries(resourceStatuses.map((status) => [status, 0])) as Record<ResourceStatus, number>;
  for (const { status } of scanned.flatMap(({ resources }) => resources)) statuses[status]++;
  const missing = scanned.filter(({ presence }) => presence === 'missing').length;
  const counts = { ...statuses, functions: scanned.length, missing, extra };
  const kept = statuses.holds + statuses.disabled;
  if (statuses.moved + statuses.unassigned + missing > 0) return { verdict: 'differs', counts };
  if (kept === 0) return { verdict: 'nothing-comparable', counts };
  return { verdict: statuses['not-shown'] + statuses['not-comparable'] > 0 ? 'incomplete' : 'holds', counts };
}
