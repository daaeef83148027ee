import type { Bdf } from '../pci/bdf.js';
import type { GuestLine } from './lines.js';
import {
  addResource,
  bdfKey,
  FunctionTable,
  type FunctionDraft,
  type Note,
  type Observation,
  type Placement,
  type ResourceName,
  type SeenResource,
  type Source,
} from './observation.js';
import { bdfOf, emptyObservation, type ListingReader } from './reader.js';

const triple = /(0x[0-9a-f]{16}) (0x[0-9a-f]{16}) (0x[0-9a-f]{16})\s*$/;
const bdfAnywhere = /([0-9a-f]{4,8}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7])/g;
const heading =
  /^(?:[=#>$-]{1,8} *)?(?:[\w./:-]{0,500}\/)?[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7](?:\/resource)?:?(?: *[=#<-]{1,8})?\s*$/;
const identity = /^(class|vendor|device) 0x([0-9a-f]{4,6})\s*$/;

/** include/linux/ioport.h */
const flag = {
  io: 0x100n,
  memory: 0x200n,
  prefetchable: 0x2000n,
  wide: 0x10_0000n,
  disabled: 0x1000_0000n,
  unset: 0x2000_0000n,
};
/** IORESOURCE_ROM_SHADOW (include/linux/ioport.h): the kernel uses a copy, or the address where firmware left one. */
const ROM_SHADOW = 0x2n;

/** DEVICE_COUNT_RESOURCE (include/linux/pci.h) was never larger; more lines belong to more than one function. */
const MOST_ROWS = 18;

interface Row {
  readonly index: number;
  readonly base: bigint;
  readonly limit: bigint;
  readonly flags: bigint;
  readonly source: Source;
}

/**
 * sysfs `resource` files: one line of start, end and flags a resource (drivers/pci/pci-sysfs.c, resource_show). The
 * function comes from a heading line, from a path before the line (`grep . …/resource`), or from the file's own path.
 */
export class SysfsResourceReader implements ListingReader {
  #table = new FunctionTable();
  #notes: Note[] = [];
  #current: FunctionDraft | undefined;
  #rows: Row[] = [];
  readonly #fromFile: Bdf | undefined;
  #orphan = false;

  constructor(readonly file: string) {
    const path = /\/resource$/.test(file) ? addressesIn(file) : [];
    this.#fromFile = path.at(-1);
  }

  take({ text, source }: GuestLine): boolean {
    if (this.#rows.length > 0 && text.trim() === '') {
      this.#close();
      return false;
    }
    const match = text.includes('0x') ? triple.exec(text) : null;
    if (match?.[1] && match[2] && match[3]) {
      const before = text.slice(0, match.index).trim();
      this.#row(before, BigInt(match[1]), BigInt(match[2]), BigInt(match[3]), source);
      return true;
    }
    if (text.includes(':') && heading.test(text)) {
      this.#close();
      const path = addressesIn(text);
      if (path.length > 0) this.#open(path, source);
      return path.length > 0;
    }
    return this.#current !== undefined && this.#detail(this.#current, text);
  }

  finish(boot: number): Observation[] {
    this.#close();
    this.#current = undefined;
    // A heading alone says nothing: a function's address on a line of its own stands in many texts.
    const functions = this.#table.list().filter((fn) => fn.resources.length > 0);
    const notes = this.#notes;
    this.#table = new FunctionTable();
    this.#notes = [];
    this.#orphan = false;
    if (functions.length === 0 && notes.length === 0) return [];
    return [{ ...emptyObservation, kind: 'sysfs', file: this.file, boot, functions, notes }];
  }

  #row(before: string, base: bigint, limit: bigint, flags: bigint, source: Source) {
    if (before.includes('/') || /[0-9a-f]:[0-9a-f]{2}\./.test(before)) {
      const path = addressesIn(before);
      const last = path.at(-1);
      if (last && (!this.#current || bdfKey(last) !== bdfKey(this.#current.address))) {
        this.#close();
        this.#open(path, source);
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

  #open(path: readonly Bdf[], source: Source) {
    const address = path.at(-1);
    if (!address) return;
    this.#current = this.#table.renew(address, source);
    const parent = path.at(-2);
    if (parent && this.#current) this.#current.parent = parent;
  }

  #detail(fn: FunctionDraft, text: string): boolean {
    if (text.startsWith('path /')) {
      const parent = addressesIn(text).at(-2);
      if (parent) fn.parent = parent;
      return true;
    }
    const match = identity.exec(text);
    if (!match?.[2]) return false;
    fn[match[1] as 'class' | 'vendor' | 'device'] = parseInt(match[2], 16);
    return true;
  }

  #close() {
    if (this.#current && this.#rows.length > 0) this.#decode(this.#current, this.#rows);
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

/** What the lines of one function's file say. `classCode`: 24 bits, where it is known. */
function decodeRows(rows: readonly Row[], classCode: number | undefined) {
  const numbering = numberingOf(rows);
  const { windowsFrom } = numbering;
  const windows = windowsFrom !== undefined && rows.some((row) => row.index >= windowsFrom);
  const resources = rows.flatMap((row) => {
    const name = nameOf(row.index, numbering);
    return name === undefined ? [] : [resourceOf(row, name)];
  });
  const isBridge = windows || (classCode !== undefined && classCode >> 8 === 0x0604);
  return { resources, isBridge, unclear: numbering.unclear };
}

/** The resources of a whole sysfs `resource` file. */
export function resourcesOfFile(text: string, file: string): SeenResource[] {
  const rows: Row[] = [];
  for (const line of text.split('\n', MOST_ROWS + 1)) {
    const match = triple.exec(line);
    if (!match?.[1] || !match[2] || !match[3]) break;
    const [base, limit, flags] = [BigInt(match[1]), BigInt(match[2]), BigInt(match[3])];
    rows.push({ index: rows.length, base, limit, flags, source: { file, line: rows.length + 1 } });
  }
  return decodeRows(rows, undefined).resources;
}

interface Numbering {
  /** Index of the I/O window's line. */
  readonly windowsFrom?: number;
  readonly vfs: boolean;
  readonly unclear: boolean;
}

/**
 * What lines 7 and up are (include/linux/pci.h, enum pci_resource): with CONFIG_PCI_IOV six VF BARs, then a bridge's
 * windows; without it the windows at once. An endpoint shows no window lines, so the number of lines tells: 7 or 13 for
 * an endpoint, 11 or 12 for a bridge without and 17 or 18 with CONFIG_PCI_IOV.
 */
function numberingOf(rows: readonly Row[]): Numbering {
  const count = Math.max(rows.length, ...rows.map((row) => row.index + 1));
  if (count > MOST_ROWS) return { vfs: false, unclear: true };
  if (count <= 7) return { vfs: false, unclear: false };
  if (count > 13) return { windowsFrom: 13, vfs: true, unclear: false };
  if (count === 13) return { vfs: true, unclear: false };
  // VF BARs are never I/O (PCI Express Base 6.0 §9.3.3.14).
  const seventh = rows.find((row) => row.index === 7);
  if (count >= 11 || (seventh && (seventh.flags & flag.io) !== 0n))
    return { windowsFrom: 7, vfs: false, unclear: false };
  return { vfs: false, unclear: true };
}

const windowNames = ['io', 'memory', 'prefetchable'] as const;

function nameOf(index: number, numbering: Numbering): ResourceName | undefined {
  if (index < 6) return index;
  if (index === 6) return 'rom';
  if (numbering.windowsFrom !== undefined && index >= numbering.windowsFrom)
    return windowNames[index - numbering.windowsFrom];
  return numbering.vfs && index < 13 ? `vf${index - 7}` : undefined;
}

function resourceOf({ base, limit, flags, source }: Row, name: ResourceName): SeenResource {
  const isWindow = name === 'io' || name === 'memory' || name === 'prefetchable';
  const space = isWindow ? (name === 'io' ? 'io' : 'memory') : (flags & flag.io) !== 0n ? 'io' : 'memory';
  const common = { name, space, numbers: 'kernel', source } as const;
  if (flags === 0n && base === 0n && limit === 0n) {
    const placement: Placement = isWindow ? { state: 'closed' } : { state: 'unassigned', why: 'no-resource' };
    return { ...common, placement };
  }
  const kind =
    space === 'io' || isWindow
      ? {}
      : { wide: (flags & flag.wide) !== 0n, prefetchable: (flags & flag.prefetchable) !== 0n };
  if (limit < base)
    return {
      ...common,
      ...kind,
      placement: isWindow ? { state: 'closed' } : { state: 'unassigned', why: 'listed-so' },
    };
  const size = limit - base + 1n;
  if ((flags & (flag.unset | flag.disabled)) !== 0n)
    return { ...common, ...kind, size, placement: { state: 'unassigned', why: 'listed-so' } };
  const shadow = name === 'rom' && (flags & ROM_SHADOW) !== 0n;
  return { ...common, ...kind, size, placement: { state: shadow ? 'os-only' : 'assigned', address: base } };
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
