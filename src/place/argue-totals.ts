import { alignDown, alignUp, maxOf } from '../address/align.js';
import { RangeSet } from '../address/range-set.js';
import type { MachineFunction } from '../machine/model.js';
import { leftOf } from './argue-room.js';
import type { Evidence, Obstacle, Place } from './evidence.js';
import { isPinned, meets } from './evidence.js';
import { amount, capital, counted, listed } from './names.js';
import type { Need } from './needs.js';

/** That what is asked for and pinned nowhere is too much together: in bytes, or in aligned pieces of some size. */
export function totalArgument(evidence: Evidence): string | null {
  const free = evidence.needs.filter((need) => !isPinned(need));
  const [first] = free;
  if (!first || free.length < 2 || free.some(({ claim }) => claim.host !== first.claim.host)) return null;
  const places = placesOf(evidence, free);
  const pins = pinsOf(evidence, free);
  const taken = new Map<string, Obstacle>();
  const left = RangeSet.of(
    places.flatMap((place) => {
      const met = [...pins, ...evidence.blockedIn(place.window, false)].filter((one) => meets(one, place));
      for (const one of met) taken.set(one.what, one);
      return [...leftOf(place, met)];
    }),
  );
  const all = RangeSet.of(places.flatMap((place) => [...leftOf(place, [])]));
  const groups = groupsOf(evidence, free);
  const where = `${listed(places.map(({ name }) => name))} ${places.length === 1 ? 'has' : 'have'}`;
  const beside = left.size === all.size ? '' : ` beside ${listed([...taken.keys()])}`;
  const total = sum(free);
  const whole = groups.reduce((size, group) => size + group.least, 0n);
  if (whole <= left.size) return pieces(free, groups, left, where, beside && ` left${beside}`, evidence.step);
  // The name of a group of VF BARs says how much it is.
  const needs = listed(free.map(({ name, size }) => (name.endsWith(')') ? name : `${name} (${amount(size)})`)));
  const steps = whole === total ? '' : `, in whole steps of bridge windows ${amount(whole)}`;
  const rest = beside && `, ${amount(left.size)} of it${beside}`;
  return `${capital(needs)} need ${amount(total)} together${steps}, and ${where} ${amount(all.size)}${rest}; no order of allocation helps.`;
}

const sum = (needs: readonly Need[]): bigint => needs.reduce((total, { size }) => total + size, 0n);

/** Everywhere that one of the needs may lie. */
function placesOf(evidence: Evidence, needs: readonly Need[]): Place[] {
  const all = needs.flatMap((need) => [...evidence.placesOf(need)]);
  const same = (a: Place, b: Place) => a.window === b.window && a.base === b.base && a.limit === b.limit;
  return all.filter((place, i) => all.findIndex((other) => same(place, other)) === i);
}

/** Pins that are in the way of every one of the needs. */
function pinsOf(evidence: Evidence, needs: readonly Need[]): Obstacle[] {
  const [first, ...rest] = needs.map((need) => evidence.pinsBeside(need));
  const same = (a: Obstacle, b: Obstacle) => a.base === b.base && a.limit === b.limit && a.what === b.what;
  return (first ?? []).filter((one) => rest.every((others) => others.some((other) => same(one, other))));
}

/** What lies behind one bridge of a root bus, or one need that lies on the root bus itself. */
interface Group {
  readonly needs: readonly Need[];
  /** What it takes of host bridge windows at the least. */
  readonly least: bigint;
  /** Its windows take whole steps. */
  readonly inSteps: boolean;
}

function groupsOf(evidence: Evidence, free: readonly Need[]): Group[] {
  const byTop = new Map<MachineFunction | Need, Need[]>();
  for (const need of free) {
    const top = need.above.at(-1) ?? need;
    byTop.set(top, [...(byTop.get(top) ?? []), need]);
  }
  return [...byTop].map(([top, needs]) => {
    // A pin in the same window may share a step with what is counted here.
    const inSteps = 'bars' in top && !evidence.needs.some((need) => isPinned(need) && need.above.at(-1) === top);
    return { needs, inSteps, least: inSteps ? alignUp(sum(needs), evidence.step) : sum(needs) };
  });
}

/** Counts the aligned pieces of the largest size that there are too few of. */
function pieces(
  free: readonly Need[],
  groups: readonly Group[],
  left: RangeSet,
  whereHas: string,
  beside: string,
  step: bigint,
): string | null {
  const aligns = new Set([...free.map(({ align }) => align), step]);
  for (const align of [...aligns].sort((a, b) => (a > b ? -1 : 1))) {
    const there = left.ranges.reduce(
      (count, { base, limit }) => count + maxOf(0n, (alignDown(limit + 1n, align) - alignUp(base, align)) / align),
      0n,
    );
    const users: Need[] = [];
    let wanted = 0n;
    for (const { needs, least, inSteps } of groups) {
      const large = needs.filter((need) => need.align >= align);
      const own = sum(large) / align;
      const steps = inSteps && align <= step ? least / align : 0n;
      wanted += own > steps ? own : steps;
      users.push(...(steps > own ? needs : large));
    }
    if (wanted <= there) continue;
    const pieces = `${counted(wanted, 'aligned piece')} of ${amount(align)}`;
    const verb = users.length === 1 ? 'needs' : 'need';
    return `${capital(listed(users.map(({ name }) => name)))} ${verb} ${pieces}, and ${whereHas} ${there === 0n ? 'none' : there}${beside}; no order of allocation helps.`;
  }
  return null;
}
