import { alignUp } from '../../address/align.js';
import { FOUR_GIB, MiB, type BusAddress, type Size } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import type { HostBridge, Machine, MachineFunction } from '../../machine/model.js';
import type { BridgeRegisters, Handover, Registers } from '../state.js';

/** What U-Boot hands out below a root bus: one region of each kind, from its device tree. Bus addresses. */
export interface UbootRegions {
  readonly io: AddressRange | null;
  readonly memory: AddressRange | null;
  /** Absent: prefetchable BARs lie in `memory`, and prefetchable windows stay closed. */
  readonly prefetchable: AddressRange | null;
}

/**
 * What U-Boot's driver-model auto-configuration does with a machine (drivers/pci/pci_auto.c, seen with 2023.01 and 2025.01): one
 * pass, depth first, each BAR as it is come across at the next multiple of its size. Nothing is sorted and nothing is tried
 * twice. A bridge window is what was handed out between entering the bridge and leaving it.
 */
export function uboot(machine: Machine, regionsOf: (host: HostBridge) => UbootRegions): Handover {
  const registers = new Map<MachineFunction, Registers>();
  let lastBus = -1;
  for (const host of machine.hostBridges) {
    const first = Math.max(host.buses[0], lastBus + 1);
    const walk = new Walk(regionsOf(host), registers, first);
    walk.bus(first, host.functions);
    lastBus = walk.lastBus;
    if (lastBus > 255) return { status: 'stopped', reason: 'it runs out of bus numbers' };
  }
  return { status: 'done', registers };
}

/** U-Boot never hands out addresses below this (pciauto_region_init): address 0 is no address. */
const LOWEST = 0x1000n;
const IO_GRANULE = 0x1000n;

/** A region that is handed out upwards. */
class Region {
  #next: bigint;

  constructor(private readonly range: AddressRange) {
    this.#next = range.base < LOWEST ? LOWEST : range.base;
  }

  align(granule: bigint): BusAddress {
    this.#next = alignUp(this.#next, granule);
    return this.#next;
  }

  take(size: Size, wide: boolean): BusAddress | undefined {
    const base = alignUp(this.#next, size);
    if (base + size - 1n > this.range.limit || (base >= FOUR_GIB && !wide)) return undefined;
    this.#next = base + size;
    return base;
  }
}

const regionOf = (range: AddressRange | null): Region | null => (range ? new Region(range) : null);

class Walk {
  readonly #io: Region | null;
  readonly #memory: Region | null;
  readonly #prefetchable: Region | null;

  constructor(
    regions: UbootRegions,
    private readonly registers: Map<MachineFunction, Registers>,
    public lastBus: number,
  ) {
    this.#io = regionOf(regions.io);
    this.#memory = regionOf(regions.memory);
    this.#prefetchable = regionOf(regions.prefetchable);
  }

  bus(bus: number, functions: readonly MachineFunction[]): void {
    for (const fn of functions.toSorted((a, b) => a.slot.device - b.slot.device || a.slot.fn - b.slot.fn)) {
      const bars = this.#bars(fn);
      const bridge = fn.bridge ? this.#bridge(fn.bridge.functions) : undefined;
      const reasons = (bar: number | string): string =>
        typeof bar === 'number'
          ? `PCI: Failed autoconfig bar ${(0x10 + 4 * bar).toString(16)}`
          : bar === 'rom'
            ? 'there is no room left for the ROM'
            : 'U-Boot does not place the BARs of VFs';
      this.registers.set(fn, { bus, bars, reasons, ...(bridge ? { bridge } : {}) });
    }
  }

  /** The bus behind a bridge, and its windows: between where each region stood before and stands after. */
  #bridge(functions: readonly MachineFunction[]): BridgeRegisters {
    const secondary = ++this.lastBus;
    const stand = () => ({
      io: this.#io?.align(IO_GRANULE),
      memory: this.#memory?.align(MiB),
      prefetchable: this.#prefetchable?.align(MiB),
    });
    const before = stand();
    this.bus(secondary, functions);
    const after = stand();
    const window = (kind: 'io' | 'memory' | 'prefetchable'): AddressRange | null => {
      const [base, end] = [before[kind], after[kind]];
      return base === undefined || end === undefined || end <= base ? null : AddressRange.of(base, end - 1n);
    };
    return {
      secondary,
      subordinate: this.lastBus,
      io: window('io'),
      memory: window('memory'),
      prefetchable: window('prefetchable'),
    };
  }

  #bars(fn: MachineFunction): Map<number | string, BusAddress> {
    const bars = new Map<number | string, BusAddress>();
    const probed = probe(fn);
    for (let index = 0; index < (fn.bridge ? 2 : 6); index++) {
      const low = probed[index] ?? 0;
      if (low === 0 || low === ALL_ONES) continue;
      const found = understand(low, probed[index + 1] ?? 0);
      const region = found.io ? this.#io : found.prefetchable ? (this.#prefetchable ?? this.#memory) : this.#memory;
      const address = region?.take(found.size, found.wide);
      // Where a 64-bit BAR finds no room, its upper half is not skipped, but taken for a register of its own.
      if (address === undefined) continue;
      if (fn.bars.some((bar) => bar.index === index)) bars.set(index, address);
      if (found.wide) index++;
    }
    const rom = fn.rom && this.#memory?.take(fn.rom.size, false);
    if (rom !== undefined) bars.set('rom', rom);
    return bars;
  }
}

const ALL_ONES = 0xffff_ffff;

/** What each of a function's BAR registers reads after all ones were written to it. */
function probe({ bars }: MachineFunction): number[] {
  const registers: number[] = [0, 0, 0, 0, 0, 0];
  for (const { index, type, prefetchable, size } of bars) {
    const mask = BigInt.asUintN(64, -size);
    const low = Number(mask & 0xffff_ffffn);
    const flags = type === 'io' ? 1 : (type === 'mem64' ? 4 : 0) | (prefetchable ? 8 : 0);
    registers[index] = (low | flags) >>> 0;
    if (type === 'mem64') registers[index + 1] = Number(mask >> 32n);
  }
  return registers;
}

/** A register as U-Boot takes it, whatever it is. */
function understand(low: number, high: number) {
  if (low & 1) return { io: true, wide: false, prefetchable: false, size: BigInt(low & ~3 & -(low & ~3)) };
  const wide = (low & 6) === 4;
  const mask = (wide ? BigInt(high) << 32n : 0n) | BigInt((low & ~0xf) >>> 0);
  const size = BigInt.asUintN(wide ? 64 : 32, -mask);
  return { io: false, wide, prefetchable: (low & 8) !== 0, size };
}
