import { hex } from '../../address/format.js';
import type { PlannedHostBridge } from '../../place/plan.js';
import type { ListingKind, SeenResource, UnassignedReason } from '../observation.js';
import type { BusAddresses, Translated } from './bus-address.js';
import type { Fact } from './comparison.js';
import type { PlannedResource } from './planned.js';

const reasons: Readonly<Record<UnassignedReason, string>> = {
  'listed-so': 'the guest gave it no address',
  ignored: 'the register holds an address, and the guest does not use it',
  'no-space': 'the guest found no space for it',
  released: 'the guest released it and did not assign it again',
  'not-claimed': 'the guest could not claim it where it was',
  'no-resource': 'the guest has no resource of that number',
};

/** Holds what one listing says of a resource against the plan. */
export function judge(
  planned: PlannedResource,
  seen: SeenResource,
  listing: ListingKind,
  addresses: BusAddresses,
  host: PlannedHostBridge | undefined,
): Fact {
  const common = { listing, source: seen.source, ...(seen.size === undefined ? {} : { size: seen.size }) };
  const { placement } = seen;
  switch (placement.state) {
    case 'closed':
      return planned.range === null
        ? { ...common, status: 'holds' }
        : { ...common, status: 'unassigned', detail: 'the window is closed in the guest' };
    case 'unassigned':
      return planned.range === null
        ? { ...common, status: 'holds' }
        : { ...common, status: 'unassigned', detail: reasons[placement.why] };
    case 'os-only': {
      const detail = `the guest keeps ${hex(placement.address)} for it, and the register itself reads 0`;
      return { ...common, status: 'unassigned', shown: placement.address, detail };
    }
    case 'assigned':
    case 'decode-off': {
      const shown = placement.address;
      const candidates = translations(seen, shown, addresses, host);
      return { ...common, shown, ...standing(planned, seen, candidates, placement.state === 'decode-off') };
    }
    default:
      return placement satisfies never;
  }
}

/** A number that may be a bus address as it stands is tried as both. */
function translations(seen: SeenResource, shown: bigint, addresses: BusAddresses, host: PlannedHostBridge | undefined) {
  const translated = addresses.translate(shown, seen.space, seen.numbers === 'bus' ? 'bus' : 'kernel', host);
  return seen.numbers === 'either' && translated.address !== shown ? [translated, { address: shown }] : [translated];
}

type Standing = Pick<Fact, 'status' | 'seen' | 'detail'>;

function standing(
  planned: PlannedResource,
  seen: SeenResource,
  candidates: readonly Translated[],
  decodeOff: boolean,
): Standing {
  const [first] = candidates;
  if (!first) throw new RangeError('a seen address has at least one reading');
  const { range } = planned;
  // Linux opens windows below hot-plug ports whatever it was told to keep; nothing that is planned moves by that.
  if (!range) return { status: 'holds', seen: first.address, detail: 'the plan closes it, and the guest opened it' };
  // Equal numbers count also where the numbering is unsure: a move that undoes an offset exactly does not happen.
  const match = candidates.find(({ address }) => address === range.base);
  if (match) {
    if (seen.size !== undefined && seen.size !== range.size && seen.size !== planned.unit) {
      const detail = `it takes ${hex(seen.size)} bytes in the guest, ${hex(range.size)} in the plan`;
      return { status: 'moved', seen: match.address, detail };
    }
    // A ROM decodes only while someone reads it.
    if (decodeOff && planned.name !== 'rom') {
      return { status: 'disabled', seen: match.address, detail: 'it is in its place, and decoding is off' };
    }
    return { status: 'holds', seen: match.address };
  }
  if (first.unsure !== undefined) return { status: 'not-comparable', detail: first.unsure };
  // No address is what a register that nobody wrote holds.
  if (first.address === 0n) return { status: 'unassigned', detail: 'its register reads 0' };
  return { status: 'moved', seen: first.address };
}
