import type { Bdf } from '../../pci/bdf.js';
import { bdfOf } from '../reader.js';
import { bdfKey, MOST_FUNCTIONS } from '../observation.js';
import type { LogLine } from './line.js';
import { regionLine, type RegionLine } from './region-line.js';

/** What a listing of lspci says of a function besides its resources. */
export interface LspciFunction {
  readonly address: Bdf;
  /** What follows the address: class, vendor, device. */
  readonly title: string;
  readonly line: LogLine;
  /** The line of the Command register, or `Flags:` of `lspci -v`. */
  control?: LogLine;
  /** Memory decoding is on. */
  memory?: boolean;
  io?: boolean;
  master?: boolean;
  /** `Kernel driver in use`. */
  driver?: string;
  driverLine?: LogLine;
  /** The function does not answer: its registers read all-ones. */
  dead?: LogLine;
  express?: string;
  acs?: LogLine;
  ats?: LogLine;
  group?: number;
  numa?: number;
  /** `Kernel modules`, or any capability: the listing was made with -v or more. */
  detailed: boolean;
}

const header = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7]) (?=\S)(.*)$/i;
const control = /^\s*Control: I\/O([+-]) Mem([+-]) BusMaster([+-])/;
/** More than the functions of any machine have. */
const MOST_REGIONS = 50_000;

/** Reads `lspci -v` to `-vvv` beside {@link LspciReader}: what decodes, what is bound, how peers are routed. */
export class LspciStateReader {
  readonly #functions = new Map<number, LspciFunction>();
  #current: LspciFunction | undefined;
  readonly regions: RegionLine[] = [];

  /** True if the line belongs to a listing. */
  take(line: LogLine): boolean {
    const { text } = line;
    const match = header.exec(text.trimStart() === text ? text : '');
    if (match?.[2] && match[3] && match[4] && (match[5]?.includes(': ') ?? false)) {
      const address = bdfOf(match[1], match[2], match[3], match[4]);
      if (!address) return false;
      this.#begin(address, match[5] ?? '', line);
      return true;
    }
    if (text.trim() === '') {
      this.#current = undefined;
      return false;
    }
    // Reports often show the lines about one function without its first one.
    const region = regionLine(line, this.#current?.address);
    if (region && this.regions.length < MOST_REGIONS) this.regions.push(region);
    return this.#attribute(this.#current, line) || region !== undefined;
  }

  list(): LspciFunction[] {
    return [...this.#functions.values()];
  }

  #begin(address: Bdf, title: string, line: LogLine) {
    const fn: LspciFunction = { address, title, line, detailed: false };
    if (/\(rev ff\)/.test(title)) fn.dead = line;
    const key = bdfKey(address);
    const known = this.#functions.get(key);
    this.#current = fn;
    // A short listing after a long one adds nothing.
    if (known?.detailed && !fn.dead) {
      this.#current = known;
      return;
    }
    if (this.#functions.size < MOST_FUNCTIONS) this.#functions.set(key, fn);
  }

  #attribute(fn: LspciFunction | undefined, line: LogLine): boolean {
    const text = line.text.trimStart();
    if (!fn) return false;
    const flags = control.exec(text);
    if (flags) {
      fn.control = line;
      fn.io = flags[1] === '+';
      fn.memory = flags[2] === '+';
      fn.master = flags[3] === '+';
    } else if (/^Flags: /.test(text)) {
      if (!fn.control) {
        fn.control = line;
        fn.master = text.includes('bus master');
      }
    } else if (/^Kernel driver in use: /.test(text)) {
      fn.driver = text.slice(22).trim();
      fn.driverLine = line;
    } else if (/^!!! (?:Unknown header type|Invalid class)/.test(text)) fn.dead = line;
    else if (/^ACSCtl:/.test(text)) fn.acs = line;
    else if (/^ATSCtl:/.test(text)) fn.ats = line;
    else if (/^IOMMU group: \d/.test(text)) fn.group = Number(text.slice(13));
    else if (/^NUMA node: \d/.test(text)) fn.numa = Number(text.slice(11));
    else if (/^Capabilities: \[\w+(?: v\d)?\] Express/.test(text)) fn.express = text;
    else if (
      !/^(?:Region|Expansion ROM|Memory|I\/O|Prefetchable|\[virtual\]|Capabilities|Subsystem|Status|Latency|Kernel modules|Interrupt)/.test(
        text,
      )
    )
      return false;
    fn.detailed = true;
    return true;
  }
}
