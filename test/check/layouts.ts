import { AddressRange } from '../../src/address/range.js';
import type { Bar, HostBridge, HostWindow, Machine, MachineFunction, Reserved } from '../../src/machine/model.js';
import { Random } from './random.js';

/*
 * Random machines that have a plan, because they were made from one: the layout comes first, then some of its addresses are
 * kept as pins and the windows are drawn around it, from roomy to exactly tight.
 */

export interface LayoutOptions {
  readonly seed: number;
  readonly functions: number;
  /** The share of addresses and windows that stay as pins. */
  readonly pins: number;
  /** Windows end where the layout ends, and nothing was left free between. */
  readonly tight: boolean;
  /** Bus numbers in any order, some of them pinned. */
  readonly busPins: boolean;
  readonly hosts: number;
  /** Bridges keep I/O and prefetchable room, too. */
  readonly reserves?: boolean;
  /** Some BARs have another size now, and are asked to have the one of the layout. */
  readonly resizable?: boolean;
}

interface Leaf {
  readonly size: bigint;
  readonly align: bigint;
  at: bigint;
}

interface Box {
  readonly granule: bigint;
  readonly items: (Leaf | Box)[];
  at: bigint;
  end: bigint;
}

interface Draft {
  readonly id: string;
  readonly slot: number;
  readonly bars: { readonly bar: Omit<Bar, 'pin'>; readonly leaf: Leaf }[];
  rom: Leaf | null;
  sriov: {
    readonly totalVfs: number;
    readonly offset: number;
    readonly stride: number;
    readonly leaf: Leaf;
    readonly bar: Omit<Bar, 'pin'>;
  } | null;
  bridge: BridgeDraft | null;
}

interface BridgeDraft {
  readonly io: 0 | 16 | 32;
  readonly prefetchable: 0 | 32 | 64;
  readonly reserveBuses: number;
  readonly reserveMemory: bigint;
  readonly reserveIo: bigint;
  readonly reservePrefetchable: bigint;
  readonly boxes: { io: Box | null; memory: Box; prefetchable: Box | null };
  /** The prefetchable window lies on the 32-bit line. */
  readonly low: boolean;
  readonly children: Draft[];
  secondary: number;
  subordinate: number;
}

interface Lines {
  readonly io: (Leaf | Box)[] | null;
  readonly low: (Leaf | Box)[];
  /** Where prefetchable things go. */
  readonly pref: (Leaf | Box)[] | null;
  readonly prefLow: boolean;
  readonly root: boolean;
  readonly ioBits: 16 | 32;
}

const KiB = 1024n;
const MiB = KiB * KiB;
const up = (value: bigint, step: bigint) => ((value + step - 1n) / step) * step;
const isBox = (item: Leaf | Box): item is Box => 'items' in item;

export function validMachine(options: LayoutOptions): Machine {
  // A layout that left what a 16-bit I/O window can say is none: the next one, then.
  for (let seed = options.seed; ; seed += 0x1000_0000) {
    const machine = new Maker({ ...options, seed }).machine();
    const ports = machine.hostBridges.flatMap(({ windows }) => windows.filter(({ type }) => type === 'io'));
    if (ports.every(({ base, size }) => base + size <= 0x10000n)) return machine;
  }
}

class Maker {
  readonly #random: Random;
  #left: number;
  #count = 0;

  constructor(private readonly options: LayoutOptions) {
    this.#random = new Random(options.seed);
    this.#left = options.functions;
  }

  machine(): Machine {
    const reserved: Reserved[] = [];
    const hostBridges: HostBridge[] = [];
    let low = 0x1000_0000n;
    let high = 0x80_0000_0000n;
    const shift = this.#random.chance(0.2) ? 0x10_0000_0000n : 0n;
    for (let h = 0; h < this.options.hosts; h++) {
      this.#left = Math.max(1, Math.floor(this.options.functions / this.options.hosts));
      const lines = { io: [] as (Leaf | Box)[], low: [] as (Leaf | Box)[], pref: [] as (Leaf | Box)[] };
      const drafts: Draft[] = [];
      while (this.#left > 0 && drafts.length < 32) {
        drafts.push(this.#draft(drafts.length * 8, 0, { ...lines, prefLow: false, root: true, ioBits: 32 }));
      }
      const windows: HostWindow[] = [];
      const window = (type: HostWindow['type'], items: (Leaf | Box)[], from: bigint): bigint => {
        const start = this.options.tight
          ? from
          : up(from, 0x1000n) + BigInt(this.#random.int(0, type === 'io' ? 3 : 64)) * 4096n;
        const holes: AddressRange[] = [];
        const end = this.#lay(items, start, holes);
        const slack = this.options.tight ? 0n : BigInt(this.#random.int(0, 512)) * (type === 'io' ? 16n : 64n * KiB);
        const size = end - start + slack;
        // The ports of every host bridge start at the same bus address, and the CPU sees each elsewhere.
        const moved = type === 'mem32' ? shift : type === 'io' ? BigInt(h) * 0x1_0000n : 0n;
        if (size > 0n) windows.push({ type, base: start, size, cpuBase: start + moved });
        if (type !== 'io') {
          for (const hole of holes)
            if (this.#random.chance(0.3)) reserved.push({ range: hole, reason: 'reserved by the test' });
        }
        return start + size;
      };
      window('io', lines.io, 0x1000n);
      low = window('mem32', lines.low, low);
      high = window('mem64', lines.pref, high);
      const last = this.#number(drafts, 0);
      const buses: [number, number] = [0, this.options.tight ? last : 255];
      const functions = drafts.map((draft) => this.#fn(draft));
      hostBridges.push({ id: `pcie.${h}`, segment: h, buses, windows, functions });
    }
    return {
      arch: 'aarch64',
      board: 'none',
      ram: [AddressRange.of(0n, 0xfff_ffffn)],
      physicalAddressBits: 48,
      properties: {},
      allowNonPrefetchableInPrefetchable: this.#random.chance(0.2),
      reserved,
      hostBridges,
    };
  }

  #draft(slot: number, depth: number, lines: Lines): Draft {
    const random = this.#random;
    this.#left--;
    const id = `f${this.#count++}`;
    const draft: Draft = { id, slot, bars: [], rom: null, sriov: null, bridge: null };
    const isBridge = depth < 3 && this.#left > 0 && random.chance(0.5);
    this.#bars(draft, isBridge, lines);
    if (!isBridge) return draft;
    const io = lines.io ? random.pick([0, 16, 32, 32] as const) : 0;
    const prefetchable = random.pick([0, 32, 64, 64, 64] as const);
    const memory: Box = { granule: MiB, items: [], at: 0n, end: 0n };
    const pref: Box | null = prefetchable ? { granule: MiB, items: [], at: 0n, end: 0n } : null;
    const ports: Box | null = io ? { granule: 4n * KiB, items: [], at: 0n, end: 0n } : null;
    // A prefetchable window goes into the parent's, or into its memory window; on a root bus to either type of window.
    const intoLow =
      prefetchable === 32 ? !(lines.pref && lines.prefLow && random.chance(0.5)) : !lines.pref || random.chance(0.15);
    const low = intoLow || lines.prefLow;
    const reserveMemory = random.chance(0.2) ? BigInt(random.int(1, 3)) * MiB : 0n;
    const reserveBuses = random.chance(0.1) ? random.int(1, 3) : 0;
    const inside: Lines = {
      io: ports?.items ?? null,
      low: memory.items,
      pref: pref?.items ?? null,
      prefLow: low,
      root: false,
      ioBits: io === 16 || lines.ioBits === 16 ? 16 : 32,
    };
    const children: Draft[] = [];
    const many = random.int(1, 4);
    while (children.length < many && this.#left > 0) children.push(this.#draft(children.length * 8, depth + 1, inside));
    if (reserveMemory) memory.items.push({ size: reserveMemory, align: 1n, at: 0n });
    const keep = (box: Box | null): bigint => {
      if (!this.options.reserves || !box || !random.chance(0.3)) return 0n;
      const size = BigInt(random.int(1, 2)) * box.granule;
      box.items.push({ size, align: 1n, at: 0n });
      return size;
    };
    const [reserveIo, reservePrefetchable] = [keep(ports), keep(pref)];
    if (memory.items.length) lines.low.push(memory);
    if (pref?.items.length) (intoLow ? lines.low : lines.pref!).push(pref);
    if (ports?.items.length) lines.io!.push(ports);
    draft.bridge = {
      io,
      prefetchable,
      reserveBuses,
      reserveMemory,
      reserveIo,
      reservePrefetchable,
      boxes: { io: ports?.items.length ? ports : null, memory, prefetchable: pref?.items.length ? pref : null },
      low,
      children,
      secondary: 0,
      subordinate: 0,
    };
    return draft;
  }

  #bars(draft: Draft, isBridge: boolean, lines: Lines): void {
    const random = this.#random;
    const registers = isBridge ? 2 : 6;
    let index = 0;
    while (index < registers && random.chance(isBridge ? 0.4 : 0.6)) {
      const type = random.pick(['mem32', 'mem32', 'mem64', 'mem64', 'io'] as const);
      if (type === 'io' && !lines.io) continue;
      if (type === 'mem64' && index + 1 >= registers) break;
      const prefetchable = type === 'mem64' ? random.chance(0.8) : type === 'mem32' && random.chance(0.2);
      const high = type === 'mem64' && lines.pref && (lines.root || prefetchable) && random.chance(0.85);
      const inLow = !high || lines.prefLow;
      const size =
        type === 'io' ? 4n << BigInt(random.int(0, 5)) : (4n * KiB) << BigInt(random.int(0, inLow ? 11 : 18));
      const leaf: Leaf = { size, align: size, at: 0n };
      (type === 'io' ? lines.io! : high ? lines.pref : lines.low).push(leaf);
      draft.bars.push({ bar: { index, type, prefetchable, size }, leaf });
      index += type === 'mem64' ? 2 : 1;
    }
    if (isBridge) return;
    if (random.chance(0.15)) {
      const size = (2n * KiB) << BigInt(random.int(0, 8));
      draft.rom = { size, align: size, at: 0n };
      lines.low.push(draft.rom);
    }
    if (random.chance(0.15)) {
      const totalVfs = random.int(1, 7);
      const size = (4n * KiB) << BigInt(random.int(0, 8));
      const leaf: Leaf = { size: size * BigInt(totalVfs), align: size, at: 0n };
      (lines.pref ?? lines.low).push(leaf);
      const wide = random.chance(0.3);
      draft.sriov = {
        totalVfs,
        offset: wide ? 256 : 1,
        stride: 1,
        leaf,
        bar: { index: 0, type: 'mem64', prefetchable: true, size },
      };
    }
  }

  /** Gives every item an address from `cursor` on, in a random order. Where the last one ends. */
  #lay(items: (Leaf | Box)[], start: bigint, holes: AddressRange[] | null): bigint {
    const random = this.#random;
    let cursor = start;
    const order = random.shuffle(items);
    if (random.chance(0.4))
      order.sort((a, b) => Number((isBox(b) ? b.granule : b.align) - (isBox(a) ? a.granule : a.align)));
    for (const item of order) {
      if (!this.options.tight && random.chance(0.2)) {
        const gap = (isBox(item) ? item.granule : item.align) * BigInt(random.int(1, 3));
        if (holes && gap > 64n) holes.push(AddressRange.sized(cursor, gap));
        cursor += gap;
      }
      if (isBox(item)) {
        const from = up(cursor, item.granule);
        const end = up(this.#lay(item.items, from, null), item.granule);
        // The window starts where its first content does.
        const first = item.items.reduce((least, one) => (one.at < least ? one.at : least), end);
        item.at = (first / item.granule) * item.granule;
        item.end = end;
        cursor = end;
      } else {
        item.at = up(cursor, item.align);
        cursor = item.at + item.size;
      }
    }
    return cursor;
  }

  /** Numbers the buses behind `drafts`, which sit on `bus`. The last one used. */
  #number(drafts: readonly Draft[], bus: number): number {
    let last = bus;
    for (const { slot, sriov } of drafts) {
      if (sriov) last = Math.max(last, bus + ((slot + sriov.offset + (sriov.totalVfs - 1) * sriov.stride) >> 8));
    }
    const bridges = drafts.flatMap(({ bridge }) => bridge ?? []);
    for (const bridge of this.options.busPins ? this.#random.shuffle(bridges) : bridges) {
      if (this.options.busPins && !this.options.tight) last += this.#random.int(0, 2);
      bridge.secondary = last + 1;
      bridge.subordinate = this.#number(bridge.children, bridge.secondary) + bridge.reserveBuses;
      last = bridge.subordinate;
    }
    return last;
  }

  #fn({ id, slot, bars, rom, sriov, bridge }: Draft): MachineFunction {
    const pin = (leaf: Leaf) => (this.#random.chance(this.options.pins) ? { pin: leaf.at } : {});
    return {
      id,
      slot: { device: slot >> 3, fn: slot & 7 },
      bars: bars.map(({ bar, leaf }) => ({ ...this.#resized(bar), ...pin(leaf) })),
      ...(rom ? { rom: { size: rom.size, ...pin(rom) } } : {}),
      ...(sriov
        ? {
            sriov: {
              totalVfs: sriov.totalVfs,
              firstVfOffset: sriov.offset,
              vfStride: sriov.stride,
              bars: [{ ...sriov.bar, ...pin(sriov.leaf) }],
            },
          }
        : {}),
      ...(bridge ? { bridge: this.#bridge(bridge) } : {}),
    };
  }

  #resized(bar: Omit<Bar, 'pin'>): Omit<Bar, 'pin'> {
    if (!this.options.resizable || bar.type === 'io' || !this.#random.chance(0.3)) return bar;
    const sizes = [bar.size, bar.size * 2n, bar.size * 4n];
    return { ...bar, size: this.#random.pick(sizes), resizable: { sizes, to: bar.size } };
  }

  #bridge(draft: BridgeDraft): NonNullable<MachineFunction['bridge']> {
    const pin = (box: Box | null) =>
      box && box.items.length > 0 && this.#random.chance(this.options.pins / 2)
        ? AddressRange.of(box.at, box.end - 1n)
        : undefined;
    const { io, memory, prefetchable } = draft.boxes;
    const pins = { io: pin(io), memory: pin(memory), prefetchable: pin(prefetchable) };
    const numbers = this.options.busPins
      ? {
          ...(this.#random.chance(0.4) ? { secondary: draft.secondary } : {}),
          ...(this.#random.chance(0.2) ? { subordinate: draft.subordinate } : {}),
        }
      : {};
    return {
      kind: 'root-port',
      io: draft.io,
      prefetchable: draft.prefetchable,
      hotplug: 'none',
      reserve: {
        buses: draft.reserveBuses,
        io: draft.reserveIo,
        memory: draft.reserveMemory,
        prefetchable: draft.reservePrefetchable,
      },
      pin: { ...numbers, ...Object.fromEntries(Object.entries(pins).filter(([, range]) => range)) },
      functions: draft.children.map((child) => this.#fn(child)),
    };
  }
}
