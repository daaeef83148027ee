import { hex } from '../address/format.js';
import type { MachineFunction } from '../machine/model.js';
import type { Argument } from './argument.js';
import type { Claim } from './claims.js';
import type { Span, WindowKind } from './item.js';
import type { Evidence, Pinned } from './evidence.js';
import { holds, kindsAbove, meets, spanOfWindow } from './evidence.js';
import { article, kindName, listed, spanOf, windowName } from './names.js';
import type { Need } from './needs.js';
import { ceilingOf } from './needs.js';

/** Why `need` cannot lie where it has to: `lead` says that it has to, and why. */
export function whereArgument(evidence: Evidence, need: Pinned, lead: string): Argument | null {
  return outside(evidence, need, lead) ?? tooWide(evidence, need, lead) ?? blocked(evidence, need, lead);
}

/** In no window of the host bridge, or in none that the bridges above leave open. */
function outside(evidence: Evidence, need: Pinned, lead: string): Argument | null {
  const { claim, pin, size } = need;
  const places = evidence.placesOf(need);
  if (places.some((place) => holds(place, pin))) return null;
  const closed = closedBridge(evidence, need);
  const why = pin.limit > need.ceiling ? tooHigh(need) : closed ? `but ${closed.text}` : noHome(evidence, need);
  const large = places.filter(({ base, limit }) => limit - base + 1n >= size).map(({ name }) => name);
  const rest = large.length > 0 ? ` It may lie in ${listed(large)}.` : '';
  return { claims: [claim, ...(closed?.claims ?? [])], text: `${lead}, ${why}.${rest}` };
}

function tooHigh({ claim: { fn }, window, ceiling }: Pinned): string {
  if (window && ceiling < 0n) return `but ${fn.id} has no ${kindName(window)} window`;
  return `but ${window ? 'such a window' : 'such a BAR'} can reach no further than ${hex(ceiling)}`;
}

function noHome(evidence: Evidence, need: Pinned): string {
  const host = evidence.hostOf(need);
  const own = (host?.windows ?? []).filter(({ type }) => (type === 'io') === (evidence.field === 'io'));
  const home = own.find((window) => holds(spanOfWindow(window), need.pin));
  if (home)
    return `which lies in ${windowName(home)}, and that is for 64-bit BARs and for prefetchable windows of bridges`;
  const partly = own.find((window) => meets(spanOfWindow(window), need.pin));
  return partly ? `which reaches out of ${windowName(partly)}` : `which lies in no window of ${host?.id ?? ''}`;
}

/** The first bridge above that has no window for a need, or around a pin. */
export function closedBridge(evidence: Evidence, need: Need): Argument | null {
  let kinds = need.inBridge;
  for (const bridge of need.above) {
    const ways = evidence.waysInto(need, bridge);
    if (ways.length === 0) return closedWays(evidence, need, bridge, kinds);
    kinds = [...new Set(ways.flatMap(({ kind }) => kindsAbove[kind]))];
  }
  return null;
}

function closedWays(evidence: Evidence, need: Need, bridge: MachineFunction, kinds: readonly WindowKind[]): Argument {
  const claims: Claim[] = [];
  const reasons = kinds.map((kind) => {
    const window = evidence.windowOf(bridge, kind);
    const ceiling = ceilingOf(bridge, kind);
    const name = `${kindName(kind)} window`;
    if (ceiling < 0n) return `no ${name}`;
    if (need.pin && need.pin.limit > ceiling) return `${article(name)} that ends at ${hex(ceiling)} at the most`;
    if (!window) return `no ${name} for it`;
    claims.push(window.claim);
    return `its ${name} pinned to ${spanOf(window.pin)}`;
  });
  const rule = need.inBridge.length === 1 && kinds[0] === 'memory' && !need.window;
  const because = rule ? 'what is not prefetchable lies in the memory window of a bridge, and ' : '';
  const where = bridge === need.claim.fn ? bridge.id : `${bridge.id} above it`;
  return { claims, text: `${because}${where} has ${listed(reasons)}` };
}

/** In a host bridge window that does not hold whole steps of a bridge's window around it. */
function tooWide(evidence: Evidence, need: Pinned, lead: string): Argument | null {
  const top = need.above.at(-1);
  const [place, ...others] = evidence.placesOf(need).filter((one) => holds(one, need.pin));
  const taken = evidence.rounded(need.pin);
  if (!top || !place || [place, ...others].some(({ window }) => holds(spanOfWindow(window), taken))) return null;
  const out = `${around(top, taken)}, which reaches out of ${windowName(place.window)}`;
  return { claims: [need.claim], text: `${lead}${out}.` };
}

const around = ({ id }: MachineFunction, taken: Span): string =>
  `, a window of ${id} around it is ${spanOf(taken)} at the least`;

/** On something reserved, on RAM, or beyond the address bits, in every host bridge window that it could be in. */
function blocked(evidence: Evidence, need: Pinned, lead: string): Argument | null {
  const top = need.above.at(-1);
  const taken = top ? evidence.rounded(need.pin) : need.pin;
  const hits = evidence
    .placesOf(need)
    .filter((place) => holds(place, need.pin))
    .map(({ window }) => evidence.blockedIn(window, top !== undefined).find((obstacle) => meets(obstacle, taken)));
  const [hit] = hits;
  if (!hit || hits.includes(undefined)) return null;
  const window =
    meets(hit, need.pin) || !top ? '' : `, a window of ${top.id} around it is ${spanOf(taken)} at the least`;
  const claims = hits.flatMap((one) => one?.claims ?? []);
  return { claims: [need.claim, ...claims], text: `${lead}${window}, and that ${hit.fate}.` };
}
