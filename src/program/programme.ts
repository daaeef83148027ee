import type { AddressRange } from '../address/range.js';
import type { SeenBridge, Topology } from '../enumerate/topology.js';
import { encodeBar, ROM_ENABLE, ROM_MASK } from '../pci/bar.js';
import type { Bdf } from '../pci/bdf.js';
import { encodeIoWindow, encodeMemoryWindow, encodePrefetchableWindow } from '../pci/bridge-window.js';
import { ARI_FORWARDING_ENABLE, DEVICE_CONTROL_2 } from '../pci/capabilities/express.js';
import { sriovRegisters } from '../pci/capabilities/sriov.js';
import { barRegister, Command, common, DECODE, romRegister, type1 } from '../pci/header.js';
import type { Field } from '../pci/layout.js';
import type { Width } from '../pci/config-access.js';
import type { Plan, PlannedBar, PlannedBridge } from '../place/plan.js';
import { matchPlan, type Matched } from './match.js';

/** One register, what goes into it, and which bits must read back so. */
export interface RegisterWrite {
  /** The function's id in the plan. */
  readonly id: string;
  readonly at: Bdf;
  /** In the specification's words, for messages: `BAR 2`, `secondary bus number`, … */
  readonly what: string;
  readonly register: number;
  readonly width: Width;
  readonly value: number;
  readonly mask: number;
  /**
   * Of a window that the plan closes. An operating system may open it for devices that come later, and nothing that is
   * planned moves by that: Linux does so below every hot-plug port, probe-only or not (drivers/pci/probe.c,
   * pci_host_probe, claims what it finds and assigns the rest).
   */
  readonly closed?: true;
}

/** Bits of a 16-bit register that are cleared and set while the others keep their value. */
export interface BitChange {
  readonly id: string;
  readonly at: Bdf;
  readonly what: string;
  readonly register: number;
  readonly clear: number;
  readonly set: number;
}

/**
 * All that makes a machine follow a plan. It can be carried out again after every reset without looking at the machine
 * first: bus numbers come before everything that is reached through them.
 */
export interface Programme {
  /** Bus numbers, top-down and level by level. */
  readonly buses: readonly RegisterWrite[];
  /** ARI forwarding in the ports that need it, so that function numbers over 7 can be reached. */
  readonly forwarding: readonly BitChange[];
  /** BARs, ROMs and VF BARs, each register once: written while nothing decodes. */
  readonly addresses: readonly RegisterWrite[];
  /**
   * Bridge windows, each register once and only where it holds something else: QEMU builds its memory map anew for each
   * of these writes (0.1 to 0.4 ms; a BAR without decoding takes 5 us).
   */
  readonly windows: readonly RegisterWrite[];
  /**
   * Command registers, top-down: `clear` before the addresses are written, `set` after them and from the leaves up. What lies
   * behind a closed bridge is not in QEMU's memory map yet, so that switching it on costs less (half, on 7.2).
   */
  readonly commands: readonly BitChange[];
}

export interface ProgrammeOptions {
  /**
   * False leaves address decoding and bus mastering off, as reset does: the operating system switches them on when a driver
   * takes a device. Linux before 4453f360862e ("PCI: Batch BAR sizing operations", 2025) switches decoding off and on around
   * each BAR that it sizes, and each time QEMU builds its memory map anew; with decoding off it has nothing to switch.
   */
  readonly decoding?: boolean;
}

/**
 * What has to be written to make the functions of `topology` follow `plan`.
 * @throws Problem `plan-topology-mismatch`
 */
export function programme(topology: Topology, plan: Plan, options: ProgrammeOptions = {}): Programme {
  const matched = matchPlan(topology, plan);
  return {
    buses: matched.flatMap(busWrites),
    forwarding: matched.flatMap(forwardingOf),
    addresses: matched.flatMap(functionWrites),
    windows: matched.flatMap(windowWrites),
    commands: matched.flatMap((one) => commandOf(one, options.decoding ?? true)),
  };
}

const full = { 1: 0xff, 2: 0xffff, 4: 0xffff_ffff } as const;

type Writer = (what: string, register: number, width: Width, value: number, mask?: number) => RegisterWrite;

const writer =
  ({ at, planned }: Matched): Writer =>
  (what, register, width, value, mask = full[width]) => ({
    id: planned.id,
    at,
    what,
    register,
    width,
    value: value >>> 0,
    mask: mask >>> 0,
  });

/** Byte by byte: the secondary latency timer shares the dword, and keeps what it has. */
function busWrites(one: Matched): RegisterWrite[] {
  if (!one.bridge) return [];
  const { primary, secondary, subordinate } = one.bridge;
  const write = writer(one);
  // A bridge may keep its primary number at zero: it routes nothing.
  return [
    write('primary and secondary bus number', type1.primaryBus.offset, 2, primary | (secondary << 8), 0xff00),
    write('subordinate bus number', type1.subordinateBus.offset, 1, subordinate),
  ];
}

function forwardingOf({ at, seen, planned }: Matched): BitChange[] {
  if (!seen.bridge?.ari || seen.bridge.express === 0) return [];
  const register = seen.bridge.express + DEVICE_CONTROL_2;
  return [{ id: planned.id, at, what: 'ARI forwarding', register, clear: 0, set: ARI_FORWARDING_ENABLE }];
}

function barWrites(write: Writer, what: string, register: number, bar: PlannedBar): RegisterWrite[] {
  const [low, high] = encodeBar(bar, bar.address);
  const first = write(`${what} ${bar.index}`, register, 4, low);
  return high === undefined ? [first] : [first, write(`${what} ${bar.index}, upper half`, register + 4, 4, high)];
}

function functionWrites(one: Matched): RegisterWrite[] {
  const { seen, planned } = one;
  const write = writer(one);
  const writes = planned.bars.flatMap((bar) => barWrites(write, 'BAR', barRegister(bar.index), bar));
  if (planned.rom) {
    // Address bits only: an enabled ROM may take the place of a BAR in the device (PCI Express Base 6.0 §7.5.1.2.4).
    const mask = ROM_MASK | ROM_ENABLE;
    writes.push(write('expansion ROM', romRegister(seen.headerType), 4, Number(planned.rom.address), mask));
  }
  if (planned.sriov && seen.sriov) {
    const { at, systemPageSize } = seen.sriov;
    // Reset leaves it at 4 KiB, and the sizes in the plan are those with the page size that was set.
    if (systemPageSize !== 1) {
      writes.push(write('SR-IOV system page size', at + sriovRegisters.systemPageSize.offset, 4, systemPageSize));
    }
    for (const bar of planned.sriov.bars) {
      writes.push(...barWrites(write, 'VF BAR', at + sriovRegisters.bar0.offset + 4 * bar.index, bar));
    }
  }
  return writes;
}

/** Windows that the bridge has; a closed one is written closed, because zeros after a reset are an open window at zero. */
function windowWrites(one: Matched): RegisterWrite[] {
  const { seen, bridge: planned } = one;
  if (!planned || !seen.bridge) return [];
  const write = writer(one);
  const memory = write('memory window', type1.memoryBase.offset, 4, encodeMemoryWindow(planned.memory), 0xfff0_fff0);
  return [
    ...marked(planned.io, ioWrites(write, seen.bridge, planned)),
    ...marked(planned.memory, [memory]),
    ...marked(planned.prefetchable, prefetchableWrites(write, seen.bridge, planned)),
  ];
}

const marked = (window: AddressRange | null, writes: RegisterWrite[]): RegisterWrite[] =>
  window ? writes : writes.map((one) => ({ ...one, closed: true }));

function ioWrites(write: Writer, { io }: SeenBridge, planned: PlannedBridge): RegisterWrite[] {
  if (io === 0) return [];
  const { baseLimit, upper } = encodeIoWindow(planned.io);
  // 16 bits: the secondary status register, whose bits a 1 clears, shares the dword.
  const low = write('I/O window', type1.ioBase.offset, 2, baseLimit, 0xf0f0);
  return io === 16 ? [low] : [low, write('I/O window, upper half', type1.ioBaseUpper16.offset, 4, upper)];
}

function prefetchableWrites(write: Writer, { prefetchable }: SeenBridge, planned: PlannedBridge): RegisterWrite[] {
  if (prefetchable === 0) return [];
  const { baseLimit, baseUpper, limitUpper } = encodePrefetchableWindow(planned.prefetchable);
  const upper = (what: string, { offset }: Field, value: number) =>
    write(`prefetchable window, upper half of the ${what}`, offset, 4, value);
  return [
    write('prefetchable window', type1.prefetchableBase.offset, 4, baseLimit, 0xfff0_fff0),
    ...(prefetchable === 64
      ? [
          upper('base', type1.prefetchableBaseUpper32, baseUpper),
          upper('limit', type1.prefetchableLimitUpper32, limitUpper),
        ]
      : []),
  ];
}

/**
 * Decoding on for what a function has, as firmware leaves it. Linux under probe-only takes BARs and windows as they stand;
 * kernels of the years before it claimed them there do not even touch these bits (arm and arm64 pcibios_enable_device
 * returned early). Bridges become bus masters, or nothing behind them reaches memory: Linux does that itself, but only once
 * a driver enables a device behind them (drivers/pci/pci.c, pci_enable_bridge). Endpoints do not: their drivers call
 * pci_set_master, and until then no device may write to memory.
 */
function commandOf({ at, seen, planned, bridge }: Matched, decoding: boolean): BitChange[] {
  if (seen.headerType > 1) return [];
  const change = { id: planned.id, at, what: 'Command', register: common.command.offset, clear: DECODE };
  if (!decoding) return [{ ...change, set: 0 }];
  const io = planned.bars.some(({ type }) => type === 'io') || (bridge?.io ?? null) !== null;
  const memory =
    planned.bars.some(({ type }) => type !== 'io') ||
    (bridge?.memory ?? null) !== null ||
    (bridge?.prefetchable ?? null) !== null;
  const set = (io ? Command.io : 0) | (memory ? Command.memory : 0) | (bridge ? Command.busMaster : 0);
  return [{ ...change, set }];
}
