import type { Bdf } from '../../pci/bdf.js';
import { HexDump } from '../hex-dump.js';
import type { SeenRootBus } from '../host-facts.js';
import type { GuestLine } from '../lines.js';
import {
  addResource,
  bdfKey,
  FunctionTable,
  MOST_FUNCTIONS,
  type FunctionDraft,
  type Note,
  type Observation,
  type Source,
} from '../observation.js';
import { bdfOf, deviceDots, emptyObservation, type ListingReader } from '../reader.js';
import { setAttribute } from './attributes.js';
import { decodeRows, MOST_ROWS, triple, type Row } from './resource-file.js';

const bdfAnywhere = /([0-9a-f]{4,8}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7])/g;
const rootAnywhere = /\/pci([0-9a-f]{4,8}):([0-9a-f]{2})\//;
const heading =
  /^(?:[=#>$-]{1,8} *)?(?:[\w./:-]{0,500}\/)?[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7](?:\/resource)?:?(?: *[=#<-]{1,8})?\s*$/;
/** `/sys/bus/pci/devices/0000:00:01.0/numa_node:0`, as `grep .` prints it. */
const grepped = /^(\S{0,500}[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])\/(\w{1,40}):(.{0,200})$/;

/**
 * sysfs as text: `resource` files (one line of start, end and flags a resource; drivers/pci/pci-sysfs.c, resource_show),
 * and other files of a function as `NAME VALUE`. The function comes from a heading line, from a path before the line
 * (`grep . …/resource`), or from the file's own path. `config 000: 86 80 …` lines are config space.
 */
export class SysfsReader implements ListingReader {
  #table = new FunctionTable();
  #notes: Note[] = [];
  #roots = new Map<string, SeenRootBus>();
  #current: FunctionDraft | undefined;
  #rows: Row[] = [];
  #dump = new HexDump();
  readonly #fromFile: Bdf | undefined;
  #orphan = false;

  readonly openers = [...deviceDots, ...Array.from('0123456789abcdef', (digit) => `${digit} 0x`)];

  constructor(readonly file: string) {
    const path = /\/resource$/.test(file) ? addressesIn(file) : [];
    this.#fromFile = path.at(-1);
  }

  get idle(): boolean {
    return this.#current === undefined && this.#rows.length === 0;
  }

  take({ text, source }: GuestLine): boolean {
    if (this.#rows.length > 0 && text.trim() === '') {
      this.#close();
      return false;
    }
    const match = text.includes('0x') ? triple.exec(text) : null;
    if (match?.[1] && match[2] && match[3]) {
      const before = text.slice(0, match.index).trim();
      // The regions that an IOMMU group reserves look alike, but for a type at their end.
      this.#row(before, BigInt(match[1]), BigInt(match[2]), BigInt(match[3]), source);
      return true;
    }
    // A function's address has a dot, and few lines of a long log do.
    if (text.includes('.') && text.includes(':') && heading.test(text)) {
      this.#close();
      const path = addressesIn(text);
      if (path.length > 0) this.#open(path, source);
      return path.length > 0;
    }
    if (text.includes('/') && this.#grepped(text, source)) return true;
    return this.#current !== undefined && this.#detail(this.#current, text, source);
  }

  finish(boot: number): Observation[] {
    this.#close();
    this.#current = undefined;
    // A heading alone says nothing: a function's address on a line of its own stands in many texts.
    const functions = this.#table
      .list()
      .filter((fn) => fn.resources.length > 0 || fn.vendor !== undefined || fn.config !== undefined);
    for (const fn of functions) if (fn.subsystem?.vendor === 0) delete fn.subsystem;
    const [notes, rootBuses] = [this.#notes, [...this.#roots.values()]];
    this.#table = new FunctionTable();
    this.#notes = [];
    this.#roots = new Map();
    this.#orphan = false;
    if (functions.length === 0 && notes.length === 0) return [];
    return [{ ...emptyObservation, kind: 'sysfs', file: this.file, boot, functions, notes, rootBuses }];
  }

  #row(before: string, base: bigint, limit: bigint, flags: bigint, source: Source) {
    if (before.includes('/') || /[0-9a-f]:[0-9a-f]{2}\./.test(before)) {
      const path = addressesIn(before);
      const last = path.at(-1);
      if (last && (!this.#current || bdfKey(last) !== bdfKey(this.#current.address))) {
        this.#close();
        this.#open(path, source, true);
      }
    }
    if (!this.#current && this.#fromFile) this.#open([this.#fromFile], source);
    if (!this.#current) {
      const text = 'lines of a sysfs resource file without the function they belong to';
      if (!this.#orphan) this.#notes.push({ code: 'no-function-named', text, source });
      this.#orphan = true;
      return;
    }
    const number = /\[(\d{1,2})\]$/.exec(before)?.[1];
    const index = number === undefined ? this.#rows.length : Number(number);
    if (this.#rows.length <= MOST_ROWS) this.#rows.push({ index, base, limit, flags, source });
  }

  /** @param keep what other files said of the function: only its resources are read anew */
  #open(path: readonly Bdf[], source: Source, keep = false) {
    const address = path.at(-1);
    if (!address) return;
    this.#current = keep ? this.#table.get(address, source) : this.#table.renew(address, source);
    if (this.#current) this.#current.resources = [];
    const parent = path.at(-2);
    if (parent && this.#current) this.#current.parent = parent;
  }

  /** A file that is named with its function. What is known of the function from other such lines stays. */
  #grepped(text: string, source: Source): boolean {
    const [, path, name, value] = grepped.exec(text) ?? [];
    if (path === undefined || name === undefined || value === undefined) return false;
    const address = addressesIn(path).at(-1);
    const fn = address && this.#table.get(address, source);
    return fn ? setAttribute(fn, name, value.trim()) : false;
  }

  #detail(fn: FunctionDraft, text: string, source: Source): boolean {
    if (text.startsWith('path /')) {
      const path = addressesIn(text);
      const root = rootAnywhere.exec(text);
      const parent = path.at(-2);
      if (parent) fn.parent = parent;
      else if (root) fn.parent = null;
      if (root?.[1] && root[2] && this.#roots.size < MOST_FUNCTIONS) {
        this.#roots.set(root[0], { segment: parseInt(root[1], 16), bus: parseInt(root[2], 16), source });
      }
      return true;
    }
    if (text.startsWith('config ') && this.#dump.take(text)) return true;
    const space = text.indexOf(' ');
    return space > 0 && setAttribute(fn, text.slice(0, space), text.slice(space + 1).trim());
  }

  #close() {
    const fn = this.#current;
    if (fn && this.#rows.length > 0) this.#decode(fn, this.#rows);
    const config = this.#dump.config();
    if (fn && config) fn.config = config;
    if (config) this.#dump = new HexDump();
    this.#rows = [];
    this.#current = undefined;
  }

  #decode(fn: FunctionDraft, rows: readonly Row[]) {
    const { resources, isBridge, unclear } = decodeRows(rows, fn.class);
    if (isBridge) fn.isBridge = true;
    for (const resource of resources) addResource(fn, resource);
    if (unclear) {
      const text = `${rows.length} lines, neither a whole endpoint nor a whole bridge: lines from 7 on are left out`;
      this.#notes.push({ code: 'resource-numbers-unclear', text, source: fn.source });
    }
  }
}

/** Every function address in a path, outermost first. */
function addressesIn(text: string): Bdf[] {
  const found: Bdf[] = [];
  for (const [, segment, bus, device, fn] of text.matchAll(bdfAnywhere)) {
    const address = bus && device && fn ? bdfOf(segment, bus, device, fn) : undefined;
    if (address) found.push(address);
  }
  return found;
}
