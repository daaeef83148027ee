import { fromHex, type GuestLine } from './lines.js';
import {
  addResource,
  FunctionTable,
  type FunctionDraft,
  type Observation,
  type Placement,
  type ResourceName,
  type SeenResource,
  type Source,
} from './observation.js';
import { bdfOf, emptyObservation, type ListingReader } from './reader.js';

const header = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7]) (?=\S)(.*)$/;
// Addresses have at least eight digits and port numbers four (lib/types.h, PCIADDR_T_FMT), and a kind follows a memory
// address: so a line that was cut inside an address is none.
const region =
  /^\s*(?:Region ([0-5]): )?(\[virtual\] )?(?:(Memory) at ([0-9a-f]{8,16}|<[a-z0-9-]{1,30}>)(?= \()|I\/O ports at ([0-9a-f]{4,16}|<[a-z]{1,30}>)(?=\s|$))(.*)$/;
const rom = /^\s*(\[(?:virtual|enhanced)\] )?Expansion ROM at ([0-9a-f]{8,16}|<[a-z]{1,30}>)(?=\s|$)(.*)$/;
const behind = /^\s*(I\/O|Memory|Prefetchable memory) behind bridge:(?: ([0-9a-f]{4,16})-([0-9a-f]{4,16}))?(.*)$/;
const buses = /^\s*Bus: primary=([0-9a-f]{2}), secondary=([0-9a-f]{2}), subordinate=([0-9a-f]{2})/;
const sizeSuffix = /\[size=(\d{1,10})([KMGT]?)\]/;
const shifts: Readonly<Record<string, bigint>> = { '': 0n, K: 10n, M: 20n, G: 30n, T: 40n };

/**
 * `lspci -v`, `-vv` and `-vvv`, from pciutils 3.0 to 3.14, with or without `-D` and `-nn`; a plain `lspci` shows which
 * functions there are. Text forms: pciutils lspci.c (show_bases, show_rom, show_range, show_htype1) and ls-ecaps.c
 * (cap_sriov). BARs and the ROM are what the kernel says (sysfs `resource`); bridge windows are that or, in older
 * versions, the registers; VF BARs are the registers.
 */
export class LspciReader implements ListingReader {
  #table = new FunctionTable();
  #current: FunctionDraft | undefined;
  #inSriov = false;

  constructor(readonly file: string) {}

  take({ text, source }: GuestLine): boolean {
    if (text.trim() === '') {
      this.#current = undefined;
      return false;
    }
    return this.#header(text, source) || (this.#current !== undefined && this.#attribute(this.#current, text, source));
  }

  finish(boot: number): Observation[] {
    const functions = this.#table.list();
    this.#table = new FunctionTable();
    this.#current = undefined;
    return functions.length > 0 ? [{ ...emptyObservation, kind: 'lspci', file: this.file, boot, functions }] : [];
  }

  #header(text: string, source: Source): boolean {
    const match = header.exec(text);
    const title = match?.[5] ?? '';
    if (!match?.[2] || !match[3] || !match[4] || !(title.includes(': ') || title.startsWith('"'))) return false;
    const address = bdfOf(match[1], match[2], match[3], match[4]);
    if (!address) return false;
    this.#current = this.#table.renew(address, source);
    this.#inSriov = false;
    if (this.#current) identify(this.#current, title);
    return true;
  }

  #attribute(fn: FunctionDraft, text: string, source: Source): boolean {
    const line = text.trimStart();
    if (line.startsWith('Capabilities:')) {
      this.#inSriov = line.includes('(SR-IOV)');
      return true;
    }
    const seen = this.#inSriov ? vfRegion(line, source) : (regionOf(line, source) ?? romOf(line, source));
    const found = seen ?? windowOf(line, source);
    if (found) {
      addResource(fn, found);
      return true;
    }
    const bus = buses.exec(line);
    if (!bus?.[2] || !bus[3]) return false;
    fn.isBridge = true;
    fn.buses = { secondary: parseInt(bus[2], 16), subordinate: parseInt(bus[3], 16), source };
    return true;
  }
}

/** Class and ids as `-nn` and `-n` show them. */
function identify(fn: FunctionDraft, title: string) {
  const classCode = /^(?:[^[\]]{1,200} \[([0-9a-f]{4})\]|([0-9a-f]{4})): /.exec(title);
  const ids = /[ []([0-9a-f]{4}):([0-9a-f]{4})(?:\]|$| \()/.exec(title);
  const code = classCode?.[1] ?? classCode?.[2];
  if (code) fn.class = parseInt(code, 16) << 8;
  if (ids?.[1] && ids[2]) {
    fn.vendor = parseInt(ids[1], 16);
    fn.device = parseInt(ids[2], 16);
  }
  if (code === '0604' || title.startsWith('PCI bridge')) fn.isBridge = true;
}

function sizeIn(rest: string): { size?: bigint } {
  const match = sizeSuffix.exec(rest);
  return match?.[1] ? { size: BigInt(match[1]) << (shifts[match[2] ?? ''] ?? 0n) } : {};
}

function placementOf(value: string, virtual: boolean, off: boolean): Placement {
  if (value.startsWith('<')) return { state: 'unassigned', why: value === '<ignored>' ? 'ignored' : 'listed-so' };
  const address = fromHex(value);
  return { state: virtual ? 'os-only' : off ? 'decode-off' : 'assigned', address };
}

const memoryKind = (rest: string) => ({
  wide: rest.includes('(64-bit'),
  prefetchable: rest.includes(', prefetchable)'),
});

function regionOf(line: string, source: Source): SeenResource | undefined {
  const match = region.exec(line);
  const value = match?.[4] ?? match?.[5];
  if (!match || value === undefined) return undefined;
  const rest = match[6] ?? '';
  const virtual = match[2] !== undefined || rest.includes('[virtual]');
  const isMemory = match[3] !== undefined;
  return {
    name: match[1] === undefined ? null : Number(match[1]),
    space: isMemory ? 'memory' : 'io',
    ...(isMemory ? memoryKind(rest) : {}),
    ...sizeIn(rest),
    placement: placementOf(value, virtual, rest.includes('[disabled]')),
    numbers: 'kernel',
    source,
  };
}

/** A VF BAR in the SR-IOV capability. An address of 0 is what a register without one holds. */
function vfRegion(line: string, source: Source): SeenResource | undefined {
  const seen = regionOf(line, source);
  if (typeof seen?.name !== 'number') return undefined;
  const name: ResourceName = `vf${seen.name}`;
  return { ...seen, name, numbers: 'bus' };
}

function romOf(line: string, source: Source): SeenResource | undefined {
  const match = rom.exec(line);
  if (!match?.[2]) return undefined;
  const rest = match[3] ?? '';
  const virtual = match[1] === '[virtual] ' || rest.includes('[virtual]');
  return {
    name: 'rom',
    space: 'memory',
    ...sizeIn(rest),
    placement: placementOf(match[2], virtual, rest.includes('[disabled')),
    numbers: 'kernel',
    source,
  };
}

const windowNames = { 'I/O': 'io', Memory: 'memory', 'Prefetchable memory': 'prefetchable' } as const;

function windowOf(line: string, source: Source): SeenResource | undefined {
  const match = behind.exec(line);
  const name = windowNames[match?.[1] as keyof typeof windowNames] as ResourceName | undefined;
  if (!match || name === undefined) return undefined;
  const common = { name, space: name === 'io' ? 'io' : 'memory', numbers: 'either', source } as const;
  const closed = { ...common, placement: { state: 'closed' } } as const;
  if (match[2] === undefined || match[3] === undefined) {
    return /^ ?(?:None|\[disabled\])/.test(match[4] ?? '') ? closed : undefined;
  }
  // Both have the same least number of digits: a shorter limit was cut.
  if (match[3].length < match[2].length) return undefined;
  const [base, limit] = [fromHex(match[2]), fromHex(match[3])];
  if (limit < base || match[4]?.includes('[disabled]')) return closed;
  return { ...common, size: limit - base + 1n, placement: { state: 'assigned', address: base } };
}
