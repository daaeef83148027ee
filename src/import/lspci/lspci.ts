import { formatBdf, type Bdf } from '../../pci/bdf.js';
import { configFacts } from '../config-facts.js';
import { HexDump } from '../hex-dump.js';
import type { GuestLine } from '../lines.js';
import {
  addResource,
  FunctionTable,
  type FunctionDraft,
  type Note,
  type Observation,
  type Source,
} from '../observation.js';
import { bdfOf, deviceDots, emptyObservation, type ListingReader } from '../reader.js';
import {
  capabilityLine,
  controlLine,
  startCapability,
  startOfFunction,
  type CapabilityDraft,
  type CapabilityState,
} from './capabilities.js';
import { codeIn, identify, identifyMachine } from './header.js';
import { regionOf, romOf, vfRegion, windowOf } from './resources.js';

// With -PP the functions of the bridges above come first, between slashes.
const header =
  /^(?:([0-9a-f]{4,8}):)?((?:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\/){0,32})([0-9a-f]{2}):([0-9a-f]{2})\.([0-7]) (?=\S)(.*)$/;
const slot = /^(?:Slot|Device):\t(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/;
const buses = /^Bus: primary=([0-9a-f]{2}), secondary=([0-9a-f]{2}), subordinate=([0-9a-f]{2})/;

/** Of one boot; the last ones are kept. */
const MOST_LISTINGS = 16;

/**
 * `lspci`, alone or with -v to -vvv, -n, -nn, -D, -k, -PP, -x to -xxxx, -mm and -vmm, from pciutils 3.0 to 3.14. Where
 * there are only registers (`-xxx` without -v), they say where things are.
 */
export class LspciReader implements ListingReader {
  #table = new FunctionTable();
  #current: OpenFunction | undefined;
  #all: OpenFunction[] = [];
  #notes: Note[] = [];
  #listings: Pick<Observation, 'functions' | 'notes'>[] = [];

  readonly openers = deviceDots;

  constructor(readonly file: string) {}

  get idle(): boolean {
    return this.#current === undefined;
  }

  take({ text, source }: GuestLine): boolean {
    if (text.trim() === '') {
      this.#current = undefined;
      return false;
    }
    return this.#header(text, source) || (this.#current?.take(text.trimStart(), source, this.#notes) ?? false);
  }

  finish(boot: number): Observation[] {
    this.#endListing();
    const listings = this.#listings;
    this.#listings = [];
    return listings.map((listing) => ({ ...emptyObservation, kind: 'lspci', file: this.file, boot, ...listing }));
  }

  /** A function that comes again begins another listing: `lspci -vvv` and `lspci -nn` one after the other. */
  #endListing() {
    for (const one of this.#all) one.close();
    const functions = this.#table.list();
    if (functions.length > 0) this.#listings.push({ functions, notes: this.#notes });
    if (this.#listings.length > MOST_LISTINGS) this.#listings.shift();
    this.#table = new FunctionTable();
    this.#current = undefined;
    this.#all = [];
    this.#notes = [];
  }

  #header(text: string, source: Source): boolean {
    const first = text.charCodeAt(0);
    // A digit, a to f, or the S and D of -vmm.
    if (!((first >= 48 && first <= 57) || (first >= 97 && first <= 102) || first === 68 || first === 83)) return false;
    const match = header.exec(text);
    const title = match?.[6] ?? '';
    if (match?.[3] && match[4] && match[5] && (title.includes(': ') || title.startsWith('"'))) {
      const address = bdfOf(match[1], match[3], match[4], match[5]);
      if (!address) return false;
      const fn = this.#open(address, source);
      if (fn && title.startsWith('"')) identifyMachine(fn, title);
      else if (fn) identify(fn, title);
      const above = /([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])\/$/.exec(match[2] ?? '');
      if (fn && above?.[1] && above[2] && above[3]) {
        const parent = bdfOf(match[1], above[1], above[2], above[3]);
        if (parent) fn.parent = parent;
      }
      return true;
    }
    const record = slot.exec(text);
    if (!record?.[2] || !record[3] || !record[4]) return false;
    const address = bdfOf(record[1], record[2], record[3], record[4]);
    if (!address) return false;
    this.#open(address, source);
    return true;
  }

  #open(address: Bdf, source: Source): FunctionDraft | undefined {
    if (this.#table.has(address)) this.#endListing();
    const fn = this.#table.get(address, source);
    this.#current = fn && new OpenFunction(fn);
    if (this.#current) this.#all.push(this.#current);
    return fn;
  }
}

/** A function whose lines are being read. */
class OpenFunction {
  readonly #capabilities: CapabilityDraft = {};
  readonly #state: CapabilityState = startOfFunction();
  readonly #dump = new HexDump();
  #record = false;

  constructor(readonly fn: FunctionDraft) {}

  take(line: string, source: Source, notes: Note[]): boolean {
    const { fn } = this;
    if (this.#dump.take(line)) return true;
    if (line.startsWith('Capabilities:')) {
      if (!startCapability(line, this.#capabilities, this.#state) && line.includes('<access denied>')) {
        const text = `${formatBdf(fn.address)}: lspci was run without root, its capabilities are not shown`;
        if (notes.length === 0) notes.push({ code: 'capabilities-denied', text, source });
      }
      return true;
    }
    const inSriov = this.#state.current === 'sriov';
    const seen = inSriov ? vfRegion(line, source) : (regionOf(line, source) ?? romOf(line, source));
    const found = seen ?? windowOf(line, source);
    if (found) {
      addResource(fn, found);
      return true;
    }
    if (attribute(fn, line, source)) return true;
    if (this.#state.current !== null) return capabilityLine(line, this.#capabilities, this.#state);
    this.#record ||= /^Class:\t/.test(line);
    return this.#record && recordLine(fn, line);
  }

  close() {
    if (Object.keys(this.#capabilities).length > 0) this.fn.capabilities = this.#capabilities;
    const config = this.#dump.config();
    if (!config) return;
    this.fn.config = config;
    if (this.fn.resources.length > 0) return;
    const facts = configFacts(config, this.fn.source);
    if (facts) Object.assign(this.fn, { ...facts, ...this.fn, resources: facts.resources });
  }
}

function attribute(fn: FunctionDraft, line: string, source: Source): boolean {
  const bus = buses.exec(line);
  if (bus?.[2] && bus[3]) {
    fn.isBridge = true;
    fn.buses = { secondary: parseInt(bus[2], 16), subordinate: parseInt(bus[3], 16), source };
    return true;
  }
  const decodes = controlLine(line);
  if (decodes) {
    fn.decodes = decodes;
    return true;
  }
  const subsystem = /^Subsystem: .*[ []([0-9a-f]{4}):([0-9a-f]{4})\]?$/.exec(line);
  if (subsystem?.[1] && subsystem[2]) {
    fn.subsystem = { vendor: parseInt(subsystem[1], 16), device: parseInt(subsystem[2], 16) };
    return true;
  }
  const driver = /^Kernel driver in use: ([\w.-]{1,64})$/.exec(line)?.[1];
  if (driver !== undefined) {
    fn.driver = driver;
    return true;
  }
  if (!line.includes('NUMA node') && !line.includes('IOMMU group')) return false;
  const numa = /(?:^|, )NUMA node:? (\d{1,5})(?=,|$)/.exec(line)?.[1];
  const group = /(?:^|, )IOMMU group:? (\d{1,7})(?=,|$)/.exec(line)?.[1];
  if (numa !== undefined) fn.numaNode = Number(numa);
  if (group !== undefined) fn.iommuGroup = Number(group);
  return numa !== undefined || group !== undefined;
}

/** `Vendor:\tIntel Corporation [8086]`: one line of a record that -vmm prints. */
function recordLine(fn: FunctionDraft, line: string): boolean {
  const [, key = '', value = ''] = /^(\w{1,20}):\t(.*)$/.exec(line) ?? [];
  const code = codeIn(value);
  switch (key) {
    case 'Class':
      if (code !== undefined) fn.class = code << 8;
      if (code === 0x0604 || value.startsWith('PCI bridge')) fn.isBridge = true;
      return true;
    case 'Vendor':
    case 'Device':
      if (code !== undefined) fn[key === 'Vendor' ? 'vendor' : 'device'] = code;
      fn.title = [fn.title, value.replace(/ ?\[?[0-9a-f]{4}\]?$/, '')].filter(Boolean).join(' ');
      return true;
    case 'SVendor':
    case 'SDevice':
      if (code !== undefined) {
        const known = fn.subsystem ?? { vendor: 0, device: 0 };
        fn.subsystem = key === 'SVendor' ? { ...known, vendor: code } : { ...known, device: code };
      }
      return true;
    case 'Rev':
      if (/^[0-9a-f]{2}$/.test(value)) fn.revision = parseInt(value, 16);
      return true;
    case 'ProgIf':
      if (/^[0-9a-f]{2}$/.test(value) && fn.class !== undefined) fn.class |= parseInt(value, 16);
      return true;
    case 'Driver':
      fn.driver = value;
      return true;
    case 'NUMANode':
      if (/^\d{1,5}$/.test(value)) fn.numaNode = Number(value);
      return true;
    case 'IOMMUGroup':
      if (/^\d{1,7}$/.test(value)) fn.iommuGroup = Number(value);
      return true;
    case 'PhySlot':
    case 'Module':
    case 'DTNode':
      return true;
    default:
      return false;
  }
}
