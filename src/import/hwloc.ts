import type { Bdf } from '../pci/bdf.js';
import type { SeenRootBus } from './host-facts.js';
import type { GuestLine } from './lines.js';
import { FunctionTable, MOST_FUNCTIONS, type Observation } from './observation.js';
import { bdfOf, deviceDots, emptyObservation, type ListingReader } from './reader.js';

const root = /^root\s+([0-9a-f]{4,8}):\[([0-9a-f]{2})-([0-9a-f]{2})\]$/;
const object =
  /^(bridge|device) +([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7]) ([0-9a-f]{4}) \[([0-9a-f]{4}):([0-9a-f]{4})\] \[([0-9a-f]{4}):([0-9a-f]{4})\] ([0-9a-f]{2})(?: ([0-9a-f]{2}))?(?: buses ([0-9a-f]{4,8}):\[([0-9a-f]{2})-([0-9a-f]{2})\])?(?= link |$)/;

interface Open {
  readonly address: Bdf;
  readonly secondary: number;
  readonly subordinate: number;
}

/**
 * PCI objects of an hwloc topology, one a line and depth first: `root 0000:[2b-3b]`, then bridges with their buses and
 * devices, with class, ids and revision as hwloc writes them into `pci_type`.
 */
export class HwlocReader implements ListingReader {
  #table = new FunctionTable();
  #roots: SeenRootBus[] = [];
  #above: Open[] = [];

  readonly openers = [...deviceDots, ':['];
  readonly idle = true;

  constructor(readonly file: string) {}

  take({ text, source }: GuestLine): boolean {
    if (!text.startsWith('root ') && !text.startsWith('bridge ') && !text.startsWith('device ')) return false;
    const start = root.exec(text);
    if (start?.[1] && start[2] && start[3] && this.#roots.length < MOST_FUNCTIONS) {
      const segment = parseInt(start[1], 16);
      this.#roots.push({ segment, bus: parseInt(start[2], 16), lastBus: parseInt(start[3], 16), source });
      this.#above = [];
      return true;
    }
    const match = object.exec(text);
    if (!match?.[3] || !match[4] || !match[5]) return false;
    const address = bdfOf(match[2], match[3], match[4], match[5]);
    const fn = address && this.#table.renew(address, source);
    if (!address || !fn) return false;
    const [code, vendor, device, subVendor, subDevice, revision] = match
      .slice(6, 12)
      .map((digits) => parseInt(digits || '0', 16));
    Object.assign(fn, { class: (code ?? 0) << 8, vendor, device, revision });
    if (subVendor) fn.subsystem = { vendor: subVendor, device: subDevice ?? 0 };
    // hwloc leaves out bridges with nothing behind them, and what it keeps stands below its bridge.
    const { bus } = address;
    while (this.#above.length > 0 && !holds(this.#above.at(-1), address)) this.#above.pop();
    const last = this.#roots.at(-1);
    const above = this.#above.at(-1);
    if (above) fn.parent = above.address;
    else if (last?.bus === bus && last.segment === address.segment) fn.parent = null;
    if (match[1] === 'bridge' && match[14] && match[15]) {
      const [secondary, subordinate] = [parseInt(match[14], 16), parseInt(match[15], 16)];
      fn.isBridge = true;
      fn.buses = { secondary, subordinate, source };
      this.#above.push({ address, secondary, subordinate });
    }
    return true;
  }

  finish(boot: number): Observation[] {
    const functions = this.#table.list();
    const rootBuses = this.#roots;
    this.#table = new FunctionTable();
    this.#roots = [];
    this.#above = [];
    if (functions.length === 0) return [];
    return [{ ...emptyObservation, kind: 'hwloc', file: this.file, boot, functions, rootBuses }];
  }
}

const holds = (open: Open | undefined, { segment, bus }: Bdf): boolean =>
  open?.address.segment === segment && open.secondary <= bus && bus <= open.subordinate;
