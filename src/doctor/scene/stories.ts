import { kernelIndexName } from '../../import/dmesg-resource.js';
import type { ResourceEvent } from '../../import/log/resource-event.js';
import { bdfKey, type ResourceName } from '../../import/observation.js';
import type { Bdf } from '../../pci/bdf.js';
import type { AddressRange } from '../../address/range.js';
import type { Evidence } from '../evidence.js';

/** How it ended for a resource, as far as one boot's log goes. */
export type Outcome =
  'placed' | 'failed' | 'conflict' | 'not-covered' | 'no-address' | 'held' | 'released' | 'closed' | 'known';

/** What a kernel log tells of one resource of one function, from its first line to its last. */
export interface Story {
  readonly address: Bdf;
  readonly file: string;
  readonly boot: number;
  /** Null where only the kernel's number is known and the function is not. */
  readonly name: ResourceName | null;
  readonly isWindow: boolean;
  readonly isVf: boolean;
  readonly space: 'io' | 'memory';
  readonly wide: boolean;
  readonly prefetchable: boolean;
  /** Bytes, the largest that was asked for in vain, or else what it has. */
  readonly size?: bigint;
  /** Where it lies in the end. */
  readonly placed?: AddressRange;
  /** What the registers held when the function was found. */
  readonly initial?: AddressRange;
  readonly outcome: Outcome;
  /** It failed on the way, and was placed in the end. */
  readonly recovered: boolean;
  readonly events: readonly ResourceEvent[];
  readonly driver?: string;
}

const failing = new Set(['no-space']);
const MOST_EVENTS = 256;

/** The stories of all resources that kernel lines name. */
export function storiesOf(evidence: Evidence): Story[] {
  const bridges = knownBridges(evidence);
  const groups = new Map<string, ResourceEvent[]>();
  for (const event of evidence.resources) {
    const name = nameOf(event, bridges);
    const { source, boot } = event.line;
    const key = `${source.file}\n${boot}\n${bdfKey(event.address)}\n${name ?? `#${event.index ?? '?'}`}`;
    const group = groups.get(key);
    // A line that repeats for hours tells nothing new.
    if (group && group.length >= MOST_EVENTS) group[group.length - 1] = event;
    else if (group) group.push(event);
    else groups.set(key, [event]);
  }
  return [...groups.values()].map((events) => storyOf(events, bridges));
}

function storyOf(events: readonly ResourceEvent[], bridges: KnownBridges): Story {
  const [first] = events as readonly [ResourceEvent, ...ResourceEvent[]];
  const name = nameOf(first, bridges);
  let outcome: Outcome = 'known';
  let placed: AddressRange | undefined;
  let initial: AddressRange | undefined;
  let asked: bigint | undefined;
  let failed = false;
  for (const event of events) {
    const { verb, range } = event;
    switch (verb) {
      case 'found':
        if (range && range.base > 0n) {
          initial ??= range;
          placed = range;
          outcome = 'placed';
        } else if (outcome === 'known' || outcome === 'placed') outcome = 'known';
        break;
      case 'assigned':
        placed = range ?? placed;
        outcome = 'placed';
        break;
      case 'no-space':
        failed = true;
        if (event.size !== undefined && (asked === undefined || event.size > asked)) asked = event.size;
        placed = undefined;
        outcome = 'failed';
        break;
      case 'conflict':
      case 'not-covered':
        failed = true;
        placed = undefined;
        outcome = verb;
        break;
      case 'no-address':
      case 'not-claimed':
        placed = undefined;
        if (outcome !== 'failed' && outcome !== 'conflict' && outcome !== 'not-covered') outcome = 'no-address';
        break;
      case 'held':
        outcome = 'held';
        placed = range ?? placed;
        break;
      case 'released':
        placed = undefined;
        outcome = 'released';
        break;
      case 'closed':
        outcome = 'closed';
        break;
      case 'asked':
      case 'not-released':
      case 'cannot-fit':
      case 'unsizable':
        break;
    }
  }
  const last = events.at(-1) ?? first;
  const sizes = events.map(({ size }) => size).filter((size) => size !== undefined);
  const size = outcome === 'failed' ? asked : (placed?.size ?? asked ?? sizes.at(-1));
  const driver = events.findLast((event) => event.driver !== undefined)?.driver;
  return {
    address: first.address,
    file: first.line.source.file,
    boot: first.line.boot,
    name,
    isWindow: name === 'io' || name === 'memory' || name === 'prefetchable',
    isVf: typeof name === 'string' && name.startsWith('vf'),
    space: first.space,
    wide: events.some(({ wide }) => wide),
    prefetchable: events.some(({ prefetchable }) => prefetchable),
    ...(size === undefined ? {} : { size }),
    ...(placed ? { placed } : {}),
    ...(initial ? { initial } : {}),
    outcome,
    recovered: failed && outcome === 'placed' && !failing.has(last.verb),
    events,
    ...(driver === undefined ? {} : { driver }),
  };
}

/** Functions that are bridges (true) or are not (false). */
export type KnownBridges = ReadonlyMap<number, boolean>;

/** Drivers that bind to bridges alone. */
const bridgeDrivers = new Set(['pcieport', 'shpchp', 'pciehp', 'pcieport-driver']);

export function knownBridges(evidence: Evidence): KnownBridges {
  const known = new Map<number, boolean>();
  const may = (address: Bdf, is: boolean) => known.set(bdfKey(address), is);
  // From weak signs to strong ones: the later word counts.
  const buses = new Set(evidence.resources.map(({ address }) => address.segment * 0x100 + address.bus));
  for (const { address, index, driver, name } of evidence.resources) {
    const { segment, bus, fn } = address;
    // Numbers 7 to 9 on a function above others in the log, with nothing said of it: a window (kernels without IOV).
    const leads = [...buses].some((other) => other > segment * 0x100 + bus && other < (segment + 1) * 0x100);
    if (index !== undefined && index >= 7 && index <= 9 && leads && fn === 0 && !known.has(bdfKey(address)))
      may(address, true);
    if ((driver !== undefined && bridgeDrivers.has(driver)) || (index !== undefined && index >= 13)) may(address, true);
    if (name === 'io' || name === 'memory' || name === 'prefetchable') may(address, true);
  }
  for (const { address, index, space } of evidence.resources) {
    // VF BARs are never I/O (PCI Express Base 6.0 §9.3.3.14).
    if (index === 7 && space === 'io') may(address, true);
  }
  for (const { address, isBridge } of evidence.functions) may(address, isBridge);
  for (const { address } of evidence.bridges) may(address, true);
  for (const { address, title } of evidence.lspci) {
    if (title.startsWith('PCI bridge')) may(address, true);
  }
  return known;
}

function nameOf(event: ResourceEvent, bridges: KnownBridges): ResourceName | null {
  if (event.name !== undefined) return event.name;
  if (event.index === undefined) return null;
  return kernelIndexName(event.index, bridges.get(bdfKey(event.address)), event.space) ?? null;
}
