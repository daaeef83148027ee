import { AddressRange } from '../address/range.js';
import type { SeenMapLine } from './host-facts.js';
import { fromHex, type GuestLine } from './lines.js';
import {
  addResource,
  FunctionTable,
  MOST_FUNCTIONS,
  type Note,
  type Observation,
  type SeenBusWindow,
  type Source,
  type Space,
} from './observation.js';
import { bdfOf, emptyObservation, type ListingReader } from './reader.js';

const entry = /^( *)([0-9a-f]{4,16})-([0-9a-f]{4,16}) : (.*)$/;
const functionName = /^([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/;
const busName = /^PCI Bus ([0-9a-f]{4,8}):([0-9a-f]{2})$/;

const MOST_BLOCKS = 16;
const MOST_ENTRIES = 8 * MOST_FUNCTIONS;

interface Entry {
  readonly base: bigint;
  readonly limit: bigint;
  readonly name: string;
  readonly source: Source;
}

/** One listing, from its first line to where addresses start again. */
interface Block {
  readonly hint: Space | undefined;
  readonly entries: Entry[];
  readonly map: SeenMapLine[];
  first: Source;
  highest: bigint;
  lastTop: bigint;
  narrow: boolean;
  memoryNamed: boolean;
}

/**
 * /proc/iomem and /proc/ioports (kernel/resource.c, r_show). They name the function of a range and not its BAR. Read
 * without root, every address is shown as zero: that is noted, and nothing is taken from it.
 */
export class ProcResourcesReader implements ListingReader {
  #hint: Space | undefined;
  #block: Block | undefined;
  #done: Block[] = [];

  readonly openers = [' : ', 'ioports', 'iomem'];
  /** A listing goes on, whatever comes between its lines. */
  readonly idle = true;

  constructor(readonly file: string) {
    this.#hint = hintIn(file);
  }

  take({ text, source }: GuestLine): boolean {
    const match = entry.exec(text);
    if (!match?.[2] || !match[3]) {
      const hint = hintIn(text);
      if (hint) {
        this.#close();
        this.#hint = hint;
      }
      return false;
    }
    const [base, limit] = [fromHex(match[2]), fromHex(match[3])];
    if (limit < base) return true;
    const top = match[1] === '';
    if (this.#block && top && startsAnew(this.#block, base, match[2].length === 4)) this.#close();
    const block = (this.#block ??= newBlock(this.#hint, source));
    const name = match[4]?.trim() ?? '';
    if (top) block.lastTop = base;
    if (limit > block.highest) block.highest = limit;
    if (match[2].length === 4) block.narrow = true;
    if (name === 'System RAM' || name.startsWith('Kernel ')) block.memoryNamed = true;
    if (block.map.length < MOST_ENTRIES) {
      block.map.push({ depth: (match[1]?.length ?? 0) >> 1, range: AddressRange.of(base, limit), name });
    }
    const wanted = functionName.test(name) || busName.test(name);
    if (wanted && block.entries.length < MOST_ENTRIES) block.entries.push({ base, limit, name, source });
    return true;
  }

  finish(boot: number): Observation[] {
    this.#close();
    const blocks = this.#done;
    this.#done = [];
    return blocks.map((block) => observe(block, this.file, boot));
  }

  #close() {
    const block = this.#block;
    this.#block = undefined;
    if (!block || (block.entries.length === 0 && block.highest > 0n)) return;
    this.#done.push(block);
    // Later listings count; nobody has so many of them in one boot.
    if (this.#done.length > MOST_BLOCKS) this.#done.shift();
  }
}

/** Top ranges ascend, and none has the base of another; a listing of zeros does not show where it ends. */
function startsAnew(block: Block, base: bigint, narrow: boolean): boolean {
  const { lastTop, highest } = block;
  return base < lastTop || (highest > 0n && base === lastTop) || narrow !== block.narrow;
}

const newBlock = (hint: Space | undefined, first: Source): Block => ({
  hint,
  entries: [],
  map: [],
  first,
  highest: 0n,
  lastTop: 0n,
  narrow: false,
  memoryNamed: false,
});

function hintIn(text: string): Space | undefined {
  if (text.includes('ioports')) return 'io';
  return text.includes('iomem') ? 'memory' : undefined;
}

/**
 * I/O port numbers have four digits on x86 and eight elsewhere (IO_SPACE_LIMIT), where they stay below 16 MiB on arm64
 * and riscv64; no PCI memory lies there.
 */
function spaceOf(block: Block): Space {
  if (block.memoryNamed) return 'memory';
  if (block.narrow) return 'io';
  return block.hint ?? (block.highest < 0x100_0000n ? 'io' : 'memory');
}

function observe(block: Block, file: string, boot: number): Observation {
  const space = spaceOf(block);
  const table = new FunctionTable();
  const busWindows: SeenBusWindow[] = [];
  const notes: Note[] = [];
  const kind = space === 'io' ? 'ioports' : 'iomem';
  if (block.highest === 0n) {
    const text = `/proc/${kind} was read without root: every address is shown as zero`;
    notes.push({ code: 'read-without-root', text, source: block.first });
  } else {
    for (const { base, limit, name, source } of block.entries) {
      const size = limit - base + 1n;
      const bus = busName.exec(name);
      if (bus?.[1] && bus[2]) {
        const [segment, number] = [parseInt(bus[1], 16), parseInt(bus[2], 16)];
        busWindows.push({ segment, bus: number, space, address: base, size, source });
        continue;
      }
      const [, segment, busNumber, device, number] = functionName.exec(name) ?? [];
      const address = busNumber && device && number ? bdfOf(segment, busNumber, device, number) : undefined;
      if (!address) continue;
      const placement = { state: 'assigned', address: base } as const;
      const fn = table.get(address, source);
      if (fn) addResource(fn, { name: null, space, size, placement, numbers: 'kernel', source });
    }
  }
  const seen = { ...emptyObservation, kind, file, boot, functions: table.list(), busWindows, notes } as const;
  return block.highest === 0n ? seen : { ...seen, map: block.map };
}
