import { alignUp, maxOf, minOf } from '../address/align.js';
import { hex } from '../address/format.js';
import { FOUR_GIB } from '../address/kinds.js';
import { AddressRange } from '../address/range.js';
import { RangeSet } from '../address/range-set.js';
import { closedBridge } from './argue-where.js';
import type { Span } from './item.js';
import type { Fate } from './around.js';
import { fateAround } from './around.js';
import type { Evidence, Obstacle, Place } from './evidence.js';
import { isPinned, meets } from './evidence.js';
import { amount, capital, listed } from './names.js';
import type { Need } from './needs.js';

/** Candidates that are shown one by one. */
const FEW = 4;
/** Candidates that are looked at one by one. */
const MANY = 256;

/** What is asked for and pinned nowhere: that there is no address for it, beside the pins of the conflict. */
export function roomArgument(evidence: Evidence): string | null {
  for (const need of evidence.needs) {
    const found = isPinned(need) ? null : (noWindow(evidence, need) ?? noCandidate(evidence, need));
    if (found) return found;
  }
  return null;
}

function noWindow(evidence: Evidence, need: Need): string | null {
  if (evidence.placesOf(need).length > 0) return null;
  const asks = `${capital(need.name)} needs ${evidence.field === 'io' ? 'I/O ports' : amount(need.size)}`;
  const closed = closedBridge(evidence, need);
  if (closed) return `${asks}, and ${closed.text}.`;
  const below = need.ceiling < FOUR_GIB || need.above.length > 0 ? ' below 4 GiB' : '';
  const none = evidence.field === 'io' ? 'no I/O window' : `no window${below} that it may lie in`;
  return `${asks}, and ${evidence.hostOf(need)?.id ?? ''} has ${none}.`;
}

/** How much a need takes of a host bridge window: behind bridges, whole steps of their windows. */
function taken({ step }: Evidence, { size, align, above }: Need): Pick<Need, 'size' | 'align'> {
  return above.length > 0 ? { size: alignUp(size, step), align: maxOf(align, step) } : { size, align };
}

function noCandidate(evidence: Evidence, need: Need): string | null {
  const fates: string[] = [];
  const least = taken(evidence, need);
  for (const place of evidence.placesOf(need)) {
    const obstacles = obstaclesIn(evidence, need, place).filter((one) => meets(one, place));
    const text = candidatesIn(place, least, obstacles, (span) => fateAround(evidence, need, place, span));
    if (text === null) return null;
    fates.push(text);
  }
  return `${needText(evidence, need)}; ${fates.join('; ')}; no order of allocation helps.`;
}

/** What a need meets in a place. Inside a step of a bridge window there may be room beside a pin. */
function obstaclesIn(evidence: Evidence, need: Need, { window }: Place): Obstacle[] {
  const whole = need.above.length === 0 || need.align >= evidence.step;
  const inSteps = need.above.length > 0;
  return [...evidence.blockedIn(window, inSteps), ...evidence.pinsBeside(need)].filter((one) => one.inSteps || whole);
}

/** `dev0 BAR 2 needs 256 GiB at an address that is a multiple of 0x4000000000`, and why no higher address will do. */
function needText(evidence: Evidence, need: Need): string {
  const { size, align } = taken(evidence, need);
  const [bridge] = need.above;
  const name = capital(need.name);
  const own = `${name} needs ${amount(need.size)}`;
  const steps =
    bridge && (size !== need.size || align !== need.align)
      ? `${own}${need.align === 1n ? ' in one piece' : ''}; bridge windows come in steps of ${amount(evidence.step)}, so behind ${bridge.id} that takes ${amount(size)} at a multiple of ${hex(align)}`
      : `${own} at an address that is a multiple of ${hex(align)}`;
  return `${steps}${belowFourGib(evidence, need)}`;
}

/** Why a 64-bit need has to stay below 4 GiB. */
function belowFourGib(evidence: Evidence, need: Need): string {
  if (evidence.field === 'io' || need.ceiling < FOUR_GIB) return '';
  for (const bridge of need.above) {
    const ways = evidence.allWaysInto(need, bridge);
    if (ways.some(({ limit, pinned }) => limit >= FOUR_GIB || pinned !== undefined)) continue;
    const bits = bridge.bridge?.prefetchable ?? 0;
    const why = !need.inBridge.includes('prefetchable')
      ? 'has only memory windows for what is not prefetchable'
      : bits === 32
        ? 'has a 32-bit prefetchable window'
        : 'has no prefetchable window';
    return `, below 4 GiB because ${bridge.id} above it ${why}`;
  }
  return '';
}

type Least = Pick<Need, 'size' | 'align'>;
type Judge = (span: Span) => Fate | null;

/** Why no multiple of the alignment works in a place; null where one may. */
function candidatesIn(place: Place, { size, align }: Least, met: readonly Obstacle[], otherwise: Judge): string | null {
  const { name, base, limit } = place;
  const room = limit - base + 1n;
  if (size > room) return `${name} has ${amount(room)}, ${amount(size - room)} too few`;
  const first = alignUp(base, align);
  if (first > limit) return `${name} has no such address: it lies between ${hex(first - align)} and ${hex(first)}`;
  const count = (limit - first) / align + 1n;
  if (count > BigInt(MANY)) return piecesIn(place, { size, align }, met, count);
  const list = Array.from({ length: Number(count) }, (_, i) => first + BigInt(i) * align);
  const fates: Fate[] = [];
  for (const at of list) {
    const span = { base: at, limit: at + size - 1n };
    const found = span.limit > limit ? past(place, span) : (fateOf(met, span) ?? otherwise(span));
    if (!found) return null;
    fates.push(found);
  }
  const [only] = fates;
  if (count === 1n) return `${name} has one candidate, ${hex(first)}, and it ${only?.one ?? ''}`;
  if (count > BigInt(FEW)) {
    const runs = runsOf(fates);
    const pieces = runs.length > FEW ? piecesIn(place, { size, align }, met, count) : null;
    return pieces ?? `${name} has ${count} candidates: ${grouped(list, fates, runs)}`;
  }
  const start = `${name} has ${count} candidates, ${listed(list.map((at) => hex(at)))}`;
  if (fates.every(({ one }) => one === only?.one)) return `${start}, and each ${only?.one ?? ''}`;
  return `${start}: ${listed(fates.map(({ one }, i) => `${hex(list[i] ?? 0n)} ${one}`))}`;
}

function fateOf(met: readonly Obstacle[], span: Span): Fate | null {
  const hit = met.find((one) => meets(one, span));
  return hit
    ? { one: hit.fate, many: hit.fate.replace(/^(meet|reache?)s /, (_, verb: string) => `${verb.replace(/e$/, '')} `) }
    : null;
}

function past({ window, limit }: Place, span: Span): Fate {
  const what = limit === window.base + window.size - 1n ? 'the window' : 'what may be used of it';
  const by = span.limit - limit;
  return { one: `would end at ${hex(span.limit)}, ${hex(by)} past ${what}`, many: `would end past ${what}` };
}

interface Run {
  readonly from: number;
  to: number;
}

/** Candidates in a row with one fate, by index. */
function runsOf(fates: readonly Fate[]): Run[] {
  const runs: Run[] = [];
  fates.forEach((fate, i) => {
    const run = runs.at(-1);
    if (run && fates[run.from]?.many === fate.many) run.to = i;
    else runs.push({ from: i, to: i });
  });
  return runs;
}

/** `the 3 from 0x… to 0x… meet RAM at …`, for each run. */
function grouped(list: readonly bigint[], fates: readonly Fate[], runs: readonly Run[]): string {
  const parts = runs.map(({ from, to }) => {
    const fate = fates[from];
    if (from === to) return `${hex(list[from] ?? 0n)} ${fate?.one ?? ''}`;
    return `the ${to - from + 1} from ${hex(list[from] ?? 0n)} to ${hex(list[to] ?? 0n)} ${fate?.many ?? ''}`;
  });
  return listed(parts, MANY);
}

/** Where there are too many candidates to look at each: the pieces that are left. */
function piecesIn(place: Place, { size, align }: Least, met: readonly Obstacle[], count: bigint): string | null {
  const left = leftOf(place, met).ranges;
  if (left.some((piece) => alignUp(piece.base, align) + size - 1n <= piece.limit)) return null;
  const start = `${place.name} has ${count} candidates`;
  const causes = listed(met.map(({ what }) => what));
  if (left.length === 0) return `${start}, and all of it is taken by ${causes}`;
  const pieces =
    left.length > FEW
      ? `${left.length} pieces of at most ${amount(left.reduce((most, piece) => maxOf(most, piece.size), 0n))}`
      : listed(left.map(String));
  return `${start}; beside ${causes} it has ${pieces} left, and no candidate fits in there`;
}

export const leftOf = (span: Span, obstacles: readonly Span[]): RangeSet =>
  RangeSet.of([AddressRange.of(span.base, span.limit)]).subtract(
    obstacles.flatMap((one) =>
      meets(one, span) ? [AddressRange.of(maxOf(one.base, span.base), minOf(one.limit, span.limit))] : [],
    ),
  );
