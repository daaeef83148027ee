import type { ListingKind, ResourceName, SeenBusWindow, SeenFunction, SeenResource } from '../observation.js';
import { bdfKey } from '../observation.js';
import type { BusAddresses } from './bus-address.js';
import type { Fact } from './comparison.js';
import { judge } from './judge.js';
import type { PlannedPlace, PlannedResource } from './planned.js';
import { pairUnnumbered } from './unnumbered.js';
import { busKey, type View } from './view.js';

type Judge = (planned: PlannedResource, seen: SeenResource) => Fact;
type Add = (planned: PlannedResource, fact: Fact) => void;

/** What all listings say of each of a place's resources, in their order. */
export function factsOf(place: PlannedPlace, views: readonly View[], addresses: BusAddresses): Fact[][] {
  const facts = new Map(place.resources.map((resource) => [resource, [] as Fact[]]));
  const add: Add = (resource, fact) => facts.get(resource)?.push(fact);
  const { address: planned } = place.fn;
  for (const { listings, numbering } of views) {
    const address = numbering.guest(planned);
    if (!address) continue;
    const secondary = place.bridge ? numbering.guestBus(planned.segment, place.bridge.secondary) : null;
    for (const { observation, functions, windows } of listings) {
      const { kind } = observation;
      const verdict: Judge = (resource, seen) => judge(resource, seen, kind, addresses, place.hostBridge);
      const fn = functions.get(bdfKey(address));
      if (fn) functionFacts(place, fn, kind, verdict, add);
      const behind = secondary === null ? undefined : windows.get(busKey(planned.segment, secondary));
      if (behind) windowFacts(place, behind, verdict, add);
    }
  }
  return [...facts.values()];
}

const isWindow = (name: ResourceName) => name === 'io' || name === 'memory' || name === 'prefetchable';

function functionFacts(place: PlannedPlace, fn: SeenFunction, kind: ListingKind, verdict: Judge, add: Add) {
  const unnumbered: SeenResource[] = [];
  for (const seen of fn.resources) {
    if (seen.name === null) unnumbered.push(seen);
    const planned = seen.name === null ? undefined : place.resources.find(({ name }) => name === seen.name);
    if (planned) add(planned, verdict(planned, seen));
  }
  if (unnumbered.length === 0) return;
  const planned = place.resources.filter(({ name }) => mayBe(name, kind));
  paired(planned, unnumbered, { inOrder: kind === 'lspci', bySize: true }, verdict, add);
}

/** What a listing may show without a number. */
function mayBe(name: ResourceName, kind: ListingKind): boolean {
  // `lspci -v` names the ROM and shows no VF BARs; of a kernel's `BAR 8` it may be unclear whether that is a window.
  if (kind === 'lspci') return typeof name === 'number';
  return kind === 'dmesg' ? typeof name !== 'number' && name !== 'rom' : !isWindow(name);
}

/** `PCI Bus 0000:01`: windows of the bridge above that bus, without which of its memory windows they are. */
function windowFacts(place: PlannedPlace, behind: readonly SeenBusWindow[], verdict: Judge, add: Add) {
  const seen = behind.map(({ space, address, size, source }): SeenResource => ({
    name: null,
    space,
    size,
    placement: { state: 'assigned', address },
    numbers: 'kernel',
    source,
  }));
  const planned = place.resources.filter(({ name }) => isWindow(name));
  paired(planned, seen, { inOrder: false, bySize: false }, verdict, add);
}

function paired(
  planned: readonly PlannedResource[],
  seen: readonly SeenResource[],
  how: { readonly inOrder: boolean; readonly bySize: boolean },
  verdict: Judge,
  add: Add,
) {
  const kept = (resource: PlannedResource, candidate: SeenResource) => {
    const { status } = verdict(resource, candidate);
    return status === 'holds' || status === 'disabled';
  };
  const { pairs, unclear } = pairUnnumbered(planned, seen, how, kept);
  for (const [resource, found] of pairs) add(resource, verdict(resource, found));
  for (const [resource, candidate] of unclear) {
    const { listing, source } = verdict(resource, candidate);
    const detail = 'the listing does not number resources, and more than one of this kind is not where it was planned';
    add(resource, { listing, source, status: 'not-comparable', detail });
  }
}
