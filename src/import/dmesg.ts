import type { Bdf } from '../pci/bdf.js';
import type { PortType } from './function-facts.js';
import { fromHex, type GuestLine } from './lines.js';
import {
  bdfKey,
  MOST_FUNCTIONS,
  type Draft,
  type FunctionDraft,
  type Observation,
  type ResourceName,
  type SeenHostWindow,
  type SeenResource,
  type Source,
} from './observation.js';
import { bdfOf, deviceDots, emptyObservation, type ListingReader } from './reader.js';
import { DmesgHost } from './dmesg-host.js';
import { kernelIndexName, placementEvent, type PlacementEvent } from './dmesg-resource.js';

/** `pci 0000:00:01.0: …`, also with a driver's name in front; the domain may have more than four digits. */
const functionLine = /(?:^|[\s\]>])[a-z][\w.-]{0,40} ([0-9a-f]{4,8}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7]): +(.*)$/i;
const busLine = /(?:^|[\s\]>])pci_bus ([0-9a-f]{4,8}):([0-9a-f]{2}): (.*)$/;
const rootWindow =
  /^root bus resource \[(io|mem) +0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})[^\]]{0,40}\](?: \(bus address \[0x([0-9a-f]{1,16})-0x[0-9a-f]{1,16}\]\))?\s*$/;
const busEnd = /^busn_res: \[bus [0-9a-f]{2}(?:-[0-9a-f]{2})?\] end is updated to ([0-9a-f]{2})/;
const identity = /^\[([0-9a-f]{4}):([0-9a-f]{4})\] type ([0-9a-f]{2}) class (0x[0-9a-f]{6})(?: (PCIe? .{1,40}))?/;
/** drivers/pci/probe.c, pci_type_str. */
const portTypes: Readonly<Record<string, PortType>> = {
  'PCIe Endpoint': 'endpoint',
  'PCIe Legacy Endpoint': 'legacy-endpoint',
  'PCIe Root Port': 'root-port',
  'PCIe Switch Upstream Port': 'upstream-port',
  'PCIe Switch Downstream Port': 'downstream-port',
  'PCIe to PCI/PCI-X bridge': 'pcie-pci-bridge',
  'PCI/PCI-X to PCIe bridge': 'pci-pcie-bridge',
  'PCIe Root Complex Integrated Endpoint': 'integrated-endpoint',
  'PCIe Root Complex Event Collector': 'event-collector',
};
const rootNumbers = /^root bus resource \[bus ([0-9a-f]{2})(?:-([0-9a-f]{2}))?\]/;
/** drivers/iommu/iommu.c since Linux 5.1, and before. */
const newGroup = /^Adding to iommu group (\d{1,7})$/;
const oldGroup = /^iommu: Adding device ([0-9a-f]{4,8}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7]) to group (\d{1,7})$/;
const bridgeTo = /^PCI bridge to \[bus ([0-9a-f]{2})(?:-([0-9a-f]{2}))?\]/;

/** Whether `:DD.F:` stands in a line: a log of hundreds of megabytes has few that are worth the pattern. */
function namesFunction(text: string): boolean {
  for (let dot = text.indexOf('.', 6); dot >= 0; dot = text.indexOf('.', dot + 1)) {
    if (text.charCodeAt(dot + 2) === 58 && text.charCodeAt(dot - 3) === 58) return true;
  }
  return false;
}

/** More than any machine has. */
const MOST_HOST_WINDOWS = 4096;

interface BootFunction {
  readonly fn: FunctionDraft;
  /** The last word on each resource. */
  readonly resources: Map<ResourceName, SeenResource>;
  /** Old kernels say `BAR 13`: what that is depends on the function and is decided at the end. */
  readonly numbered: Map<number, PlacementEvent & { readonly source: Source }>;
}

/**
 * The kernel's PCI lines of one boot (drivers/pci/probe.c, setup-bus.c, setup-res.c, iov.c), from Linux 3.8 to 7.x. A
 * resource is where the last line about it leaves it.
 */
export class DmesgReader implements ListingReader {
  #functions = new Map<number, BootFunction>();
  #bridgeOfBus = new Map<number, FunctionDraft>();
  #hostWindows: SeenHostWindow[] = [];
  readonly #host = new DmesgHost();

  readonly openers = [...deviceDots, 'pci_bus ', ...DmesgHost.openers];
  readonly idle = true;

  constructor(readonly file: string) {}

  take(line: GuestLine): boolean {
    const { text, source } = line;
    if (this.#host.take(line)) return true;
    const old = text.startsWith('iommu: ') ? oldGroup.exec(text) : null;
    if (old?.[2] && old[3] && old[4]) return this.#group(bdfOf(old[1], old[2], old[3], old[4]), Number(old[5]), source);
    const match = namesFunction(text) ? functionLine.exec(text) : null;
    if (match?.[2] && match[3] && match[4]) {
      const address = bdfOf(match[1], match[2], match[3], match[4]);
      return address !== undefined && this.#message(address, match[5] ?? '', source);
    }
    const bus = text.includes('pci_bus ') ? busLine.exec(text) : null;
    return bus?.[1] && bus[2] ? this.#bus(parseInt(bus[1], 16), parseInt(bus[2], 16), bus[3] ?? '', source) : false;
  }

  finish(boot: number): Observation[] {
    const functions = [...this.#functions.values()].map(settle);
    const hostWindows = this.#hostWindows;
    const host = this.#host.finish();
    this.#functions = new Map();
    this.#bridgeOfBus = new Map();
    this.#hostWindows = [];
    if (functions.length === 0 && hostWindows.length === 0 && !host.host && !host.rootBuses) return [];
    return [{ ...emptyObservation, kind: 'dmesg', file: this.file, boot, functions, hostWindows, ...host }];
  }

  #message(address: Bdf, message: string, source: Source): boolean {
    const id = identity.exec(message);
    if (id?.[1] && id[2] && id[3] && id[4]) {
      const { fn } = this.#function(address, source);
      fn.vendor = parseInt(id[1], 16);
      fn.device = parseInt(id[2], 16);
      fn.class = Number(id[4]);
      fn.isBridge = id[3] === '01';
      fn.headerType = parseInt(id[3], 16);
      const portType = portTypes[id[5]?.trim() ?? ''];
      if (portType) fn.capabilities = { ...fn.capabilities, portType };
      return true;
    }
    const bridge = bridgeTo.exec(message);
    if (bridge?.[1]) {
      const { fn, resources, numbered } = this.#function(address, source);
      forgetWindows(resources, numbered);
      const secondary = parseInt(bridge[1], 16);
      fn.isBridge = true;
      fn.buses = { secondary, subordinate: parseInt(bridge[2] ?? bridge[1], 16), source };
      if (secondary > 0) this.#bridgeOfBus.set(address.segment * 0x100 + secondary, fn);
      return true;
    }
    if (message.startsWith('bridge configuration invalid')) {
      // It gets other numbers now, and not every kernel says which.
      delete this.#function(address, source).fn.buses;
      return true;
    }
    const group = newGroup.exec(message)?.[1];
    if (group !== undefined) return this.#group(address, Number(group), source);
    const event = placementEvent(message);
    if (!event) return false;
    const found = this.#function(address, source);
    if (event.index !== undefined && event.index > 6) found.numbered.set(event.index, { ...event, source });
    else if (event.name !== undefined) found.resources.set(event.name, resourceFrom(event, event.name, source));
    return true;
  }

  #bus(segment: number, bus: number, message: string, source: Source): boolean {
    const end = busEnd.exec(message);
    if (end?.[1]) {
      const bridge = this.#bridgeOfBus.get(segment * 0x100 + bus);
      if (bridge?.buses?.secondary === bus)
        bridge.buses = { ...bridge.buses, subordinate: parseInt(end[1], 16), source };
      return true;
    }
    const numbers = rootNumbers.exec(message);
    if (numbers?.[1]) {
      this.#host.rootBus(segment, parseInt(numbers[1], 16), parseInt(numbers[2] ?? numbers[1], 16), source);
      return true;
    }
    const window = rootWindow.exec(message);
    if (!window?.[2] || !window[3]) return false;
    const [address, limit] = [fromHex(window[2]), fromHex(window[3])];
    if (limit < address) return true;
    const space = window[1] === 'io' ? 'io' : 'memory';
    const busBase = window[4] === undefined ? address : fromHex(window[4]);
    const size = limit - address + 1n;
    if (this.#hostWindows.length < MOST_HOST_WINDOWS) {
      this.#hostWindows.push({ segment, bus, space, address, size, busBase, source });
    }
    return true;
  }

  #group(address: Bdf | undefined, group: number, source: Source): boolean {
    if (address) this.#function(address, source).fn.iommuGroup = group;
    return address !== undefined;
  }

  #function(address: Bdf, source: Source): BootFunction {
    const key = bdfKey(address);
    const known = this.#functions.get(key);
    if (known) return known;
    const found = { fn: { address, source, resources: [] }, resources: new Map(), numbered: new Map() };
    if (this.#functions.size < MOST_FUNCTIONS) this.#functions.set(key, found);
    return found;
  }
}

/** The windows that are open follow a bridge's line: what was open before and is not named again is so no more. */
function forgetWindows(resources: BootFunction['resources'], numbered: BootFunction['numbered']) {
  for (const name of ['io', 'memory', 'prefetchable'] as const) {
    if (resources.get(name)?.placement.state === 'assigned') resources.delete(name);
  }
  for (const [index, { placement }] of numbered) {
    if (placement.state === 'assigned') numbered.delete(index);
  }
}

function settle({ fn, resources, numbered }: BootFunction): FunctionDraft {
  for (const [index, event] of numbered) {
    const name = kernelIndexName(index, fn.isBridge, event.space);
    if (name === undefined) fn.resources.push(resourceFrom(event, null, event.source));
    // `bridge window` lines repeat what `BAR 13` lines said; the later of the two counts.
    else if ((resources.get(name)?.source.line ?? 0) < event.source.line) {
      resources.set(name, resourceFrom(event, name, event.source));
    }
  }
  fn.resources.push(...resources.values());
  return fn;
}

function resourceFrom(event: PlacementEvent, name: ResourceName | null, source: Source): SeenResource {
  const { space, wide, prefetchable, size } = event;
  const isWindow = name === 'io' || name === 'memory' || name === 'prefetchable';
  const resource: Draft<SeenResource> = { name, space, placement: event.placement, numbers: 'kernel', source };
  if (space !== 'io' && !isWindow) {
    resource.wide = wide;
    resource.prefetchable = prefetchable;
  }
  if (size !== undefined) resource.size = size;
  return resource;
}
