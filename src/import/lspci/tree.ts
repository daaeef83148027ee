import type { SeenRootBus } from '../host-facts.js';
import type { GuestLine } from '../lines.js';
import { FunctionTable, MOST_FUNCTIONS, type FunctionDraft, type Observation, type Source } from '../observation.js';
import { emptyObservation, type ListingReader } from '../reader.js';

/** What lies to the right of a column: the functions of one bus, or several buses. */
interface Branch {
  readonly segment: number;
  readonly bus: number | undefined;
  /** The bridge above; null on a root bus. */
  readonly parent: FunctionDraft | null;
}

const rootStart = /^-(?:\[([0-9a-f]{4,8}):([0-9a-f]{2})\]|\+-\[)/;
/** pciutils cuts lines at 1023 characters and says so. */
const CUT = '...';

/**
 * `lspci -t`, `-tv` and `-tvnn` (pciutils ls-tree.c): which function lies behind which bridge, with bus numbers. A branch
 * that goes on in the next lines is known by the column of its `+`.
 */
export class LspciTreeReader implements ListingReader {
  #table = new FunctionTable();
  #roots: SeenRootBus[] = [];
  readonly #branches = new Map<number, Branch>();
  #inTree = false;

  readonly openers = ['-['];

  constructor(readonly file: string) {}

  get idle(): boolean {
    return !this.#inTree;
  }

  take({ text, source }: GuestLine): boolean {
    if (rootStart.test(text)) {
      this.#branches.clear();
      this.#inTree = true;
      this.#walk(text, 1, { segment: 0, bus: undefined, parent: null }, source);
      return true;
    }
    if (!this.#inTree) return false;
    const at = /^[ |]*[+\\]-/.exec(text);
    const column = at ? at[0].length - 2 : -1;
    const branch = this.#branches.get(column);
    if (!branch) {
      this.#inTree = false;
      return false;
    }
    for (const other of this.#branches.keys()) if (other > column) this.#branches.delete(other);
    this.#walk(text, column, branch, source);
    return true;
  }

  finish(boot: number): Observation[] {
    const functions = this.#table.list();
    const rootBuses = this.#roots;
    this.#table = new FunctionTable();
    this.#roots = [];
    this.#branches.clear();
    this.#inTree = false;
    if (functions.length === 0) return [];
    return [{ ...emptyObservation, kind: 'lspci-tree', file: this.file, boot, functions, rootBuses }];
  }

  /** Follows a line from a column on: connectors, buses in brackets, functions, until a name or the end. */
  #walk(text: string, start: number, from: Branch, source: Source) {
    let { segment, bus, parent } = from;
    let open: FunctionDraft | null = null;
    let at = start;
    while (at < text.length && !text.startsWith(CUT, at)) {
      const rest = text.slice(at, at + 24);
      const connector = /^(?:[+\\]-|-+)/.exec(rest)?.[0];
      if (connector !== undefined) {
        if (connector.startsWith('+')) this.#branches.set(at, { segment, bus, parent });
        at += connector.length;
        // `-[05]--` is a bus without functions.
        if (connector.startsWith('-') && text[at] === '+') continue;
        continue;
      }
      const root = /^\[([0-9a-f]{4,8}):([0-9a-f]{2})\]/.exec(rest);
      const behind = /^\[([0-9a-f]{2})(?:-([0-9a-f]{2}))?\]/.exec(rest);
      const fn = /^([01][0-9a-f])\.([0-7])/.exec(rest);
      if (root?.[1] && root[2]) {
        segment = parseInt(root[1], 16);
        bus = parseInt(root[2], 16);
        // Behind a bridge, buses stand in this form where there are several: VFs take numbers of their own.
        if (parent === null) this.#root(segment, bus, source);
        at += root[0].length;
      } else if (behind?.[1] && open) {
        bus = parseInt(behind[1], 16);
        open.isBridge = true;
        open.buses = { secondary: bus, subordinate: parseInt(behind[2] ?? behind[1], 16), source };
        parent = open;
        at += behind[0].length;
      } else if (fn?.[1] && fn[2] && bus !== undefined) {
        open = this.#function({ segment, bus, device: parseInt(fn[1], 16), fn: parseInt(fn[2], 16) }, parent, source);
        at += fn[0].length;
        if (open && text.startsWith('  ', at)) named(open, text.slice(at + 2));
      } else return;
    }
  }

  #root(segment: number, bus: number, source: Source) {
    if (this.#roots.length < MOST_FUNCTIONS) this.#roots.push({ segment, bus, source });
  }

  #function(address: FunctionDraft['address'], parent: FunctionDraft | null, source: Source) {
    const fn = this.#table.renew(address, source);
    if (fn) fn.parent = parent && parent.address;
    return fn ?? null;
  }
}

/** `Intel Corporation I350 [8086:1521]`: `-v` gives the name, `-nn` the ids. */
function named(fn: FunctionDraft, text: string) {
  const [, vendor, device] = /(?:\[|^)([0-9a-f]{4}):([0-9a-f]{4})\]?$/.exec(text.trim()) ?? [];
  if (vendor !== undefined && device !== undefined) {
    fn.vendor = parseInt(vendor, 16);
    fn.device = parseInt(device, 16);
  }
  const name = text.replace(/ ?\[?[0-9a-f]{4}:[0-9a-f]{4}\]?$/, '').trim();
  if (name !== '') fn.title = name.slice(0, 200);
}
