import { AddressRange } from '../address/range.js';
import type { SeenGroup } from './host-facts.js';
import { identify } from './lspci/header.js';
import { fromHex, type GuestLine } from './lines.js';
import { FunctionTable, type Observation, type Source } from './observation.js';
import { bdfOf, emptyObservation, type ListingReader } from './reader.js';

/** `IOMMU Group 15: 5d:00.0 3D controller [0302]: …`, as the scripts print it that everybody uses to list groups. */
const line =
  /^\s*IOMMU[ _]?[Gg]roup:? (\d{1,7}):? (?:\[?RESET\]? )?(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])(?: (.*))?$/;
/** The same as a heading, with its functions below it; `lspci -v` says of each function what looks like one. */
const heading = /^(?!\tIOMMU group: )\s*IOMMU[ _]?[Gg]roup:? (\d{1,7}):?\s*$/;
const below = /^\s+(?:\[?RESET\]?\s+)?(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])(?: (.*))?$/;
/** `find /sys/kernel/iommu_groups -type l`. */
const link = /\/iommu_groups\/(\d{1,7})\/devices\/([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])\s*$/;
/** `grep . /sys/kernel/iommu_groups/*\/reserved_regions`. */
const reserved = /\/iommu_groups\/(\d{1,7})\/reserved_regions:0x([0-9a-f]{16}) 0x([0-9a-f]{16}) ([a-z-]{1,40})\s*$/;
const MOST_REGIONS = 0x1_0000;

/** IOMMU groups as scripts print them, and as `find` and `grep` print sysfs. */
export class IommuGroupsReader implements ListingReader {
  #table = new FunctionTable();
  #groups = new Map<number, SeenGroup>();
  #group: number | undefined;

  readonly openers = ['IOMMU', '/iommu_groups/'];

  constructor(readonly file: string) {}

  get idle(): boolean {
    return this.#group === undefined;
  }

  take({ text, source }: GuestLine): boolean {
    if (text.includes('/iommu_groups/')) return this.#path(text, source);
    if (!text.includes('IOMMU') && this.#group === undefined) return false;
    const whole = line.exec(text);
    const head = whole ? null : heading.exec(text);
    if (head?.[1]) {
      this.#group = Number(head[1]);
      return true;
    }
    const listed = whole ? null : below.exec(text);
    const group = whole ? Number(whole[1]) : listed ? this.#group : undefined;
    this.#group = whole ? undefined : group;
    if (group === undefined) return false;
    const [segment, bus, device, fn, title] = (whole ? whole.slice(2) : listed?.slice(1)) ?? [];
    const address = bus && device && fn ? bdfOf(segment, bus, device, fn) : undefined;
    const seen = address && this.#table.get(address, source);
    if (!seen) return false;
    seen.iommuGroup = group;
    if (title?.includes(': ')) identify(seen, title);
    const driver = / \(driver: ([\w.-]{1,64})\)$/.exec(title ?? '')?.[1];
    if (driver !== undefined) seen.driver = driver;
    return true;
  }

  #path(text: string, source: Source): boolean {
    const [, group, segment, bus, device, fn] = link.exec(text) ?? [];
    if (group !== undefined) {
      const address = bus && device && fn ? bdfOf(segment, bus, device, fn) : undefined;
      const seen = address && this.#table.get(address, source);
      if (seen) seen.iommuGroup = Number(group);
      return seen !== undefined;
    }
    const [, owner, base, limit, type] = reserved.exec(text) ?? [];
    if (owner === undefined || base === undefined || limit === undefined || type === undefined) return false;
    const [from, to] = [fromHex(base), fromHex(limit)];
    const known = this.#groups.get(Number(owner)) ?? { number: Number(owner), reserved: [], source };
    if (from > to || known.reserved.length >= 1024 || this.#groups.size >= MOST_REGIONS) return true;
    this.#groups.set(Number(owner), {
      ...known,
      reserved: [...known.reserved, { range: AddressRange.of(from, to), type }],
    });
    return true;
  }

  finish(boot: number): Observation[] {
    const functions = this.#table.list();
    const groups = [...this.#groups.values()];
    this.#table = new FunctionTable();
    this.#groups = new Map();
    this.#group = undefined;
    if (functions.length === 0 && groups.length === 0) return [];
    return [{ ...emptyObservation, kind: 'iommu-groups', file: this.file, boot, functions, groups }];
  }
}
