import { encodeBar } from '../../pci/bar.js';
import type { Bdf } from '../../pci/bdf.js';
import { encodeIoWindow, encodeMemoryWindow, encodePrefetchableWindow } from '../../pci/bridge-window.js';
import type { Width } from '../../pci/config-access.js';
import { barRegister, Command, common, romRegister, type1 } from '../../pci/header.js';
import type { Field } from '../../pci/layout.js';
import type { Plan, PlannedBar, PlannedBridge, PlannedFunction } from '../../place/plan.js';

/** One register of a function at its planned address. */
export interface RegisterStep {
  readonly at: Bdf;
  readonly id: string;
  readonly register: number;
  readonly width: Width;
  readonly value: number;
}

/** VF BAR n of a function: its offset in the SR-IOV capability is the same everywhere, where the capability lies is not. */
export interface VfStep {
  readonly at: Bdf;
  readonly id: string;
  readonly index: number;
  /** One dword, or two for 64 bits. */
  readonly values: readonly number[];
}

/** A plan as writes, in the order in which they have to be made. */
export interface Steps {
  /** Bus by bus, so that every bridge on the way to a bus has its numbers before the bus is reached. */
  readonly buses: readonly RegisterStep[];
  /** Command registers: nothing decodes while addresses move. */
  readonly off: readonly RegisterStep[];
  readonly addresses: readonly RegisterStep[];
  readonly vfs: readonly VfStep[];
  readonly windows: readonly RegisterStep[];
  /** From the leaves up: decoding for what the function has; bridges forward what comes from behind them. */
  readonly on: readonly RegisterStep[];
}

type Writer = (field: Field, value: number) => RegisterStep;

const writerOf =
  ({ address: at, id }: PlannedFunction): Writer =>
  ({ offset, width }, value) => ({ at, id, register: offset, width: width as Width, value: value >>> 0 });

/** What has to be written for a plan. The functions have to be in the machine as they are in the plan. */
export function stepsOf(plan: Plan): Steps {
  const bridges = new Map(plan.bridges.map((bridge) => [bridge.id, bridge]));
  const all = plan.functions.map((fn) => ({ fn, bridge: bridges.get(fn.id), write: writerOf(fn) }));
  // What has nothing to decode is left alone: a board's host bridge, above all.
  const decoding = all.filter(({ fn, bridge }) => bridge ?? (fn.bars.length > 0 || fn.rom !== undefined));
  return {
    buses: all.flatMap(({ bridge, write }) => (bridge ? busSteps(bridge, write) : [])),
    off: decoding.map(({ write }) => write(common.command, 0)),
    addresses: all.flatMap(({ fn, bridge, write }) => addressSteps(fn, bridge !== undefined, write)),
    vfs: plan.functions.flatMap(({ id, address, sriov }) =>
      (sriov?.bars ?? []).map((bar) => ({ at: address, id, index: bar.index, values: encodeBar(bar, bar.address) })),
    ),
    windows: all.flatMap(({ bridge, write }) => (bridge ? windowSteps(bridge, write) : [])),
    on: decoding.map(({ fn, bridge, write }) => write(common.command, commandOf(fn, bridge))).toReversed(),
  };
}

const busSteps = ({ primary, secondary, subordinate }: PlannedBridge, write: Writer) => [
  write(type1.primaryBus, primary),
  write(type1.secondaryBus, secondary),
  write(type1.subordinateBus, subordinate),
];

function addressSteps({ bars, rom }: PlannedFunction, isBridge: boolean, write: Writer): RegisterStep[] {
  const dword = (offset: number, value: number) => write({ offset, width: 4 }, value);
  const barSteps = (bar: PlannedBar) =>
    encodeBar(bar, bar.address).map((value, half) => dword(barRegister(bar.index) + 4 * half, value));
  // The ROM is not enabled: it may share its decoder with a BAR (PCI Express Base 6.0 §7.5.1.2.4).
  return [...bars.flatMap(barSteps), ...(rom ? [dword(romRegister(isBridge ? 1 : 0), Number(rom.address))] : [])];
}

/** A window that is not planned is closed; upper halves that a bridge has not are read-only zeros. */
function windowSteps({ io, memory, prefetchable }: PlannedBridge, write: Writer): RegisterStep[] {
  const ports = encodeIoWindow(io);
  const high = encodePrefetchableWindow(prefetchable);
  return [
    // 16 bits each: the secondary status register shares the first dword.
    write({ ...type1.ioBase, width: 2 }, ports.baseLimit),
    write({ ...type1.ioBaseUpper16, width: 4 }, ports.upper),
    write({ ...type1.memoryBase, width: 4 }, encodeMemoryWindow(memory)),
    write({ ...type1.prefetchableBase, width: 4 }, high.baseLimit),
    write(type1.prefetchableBaseUpper32, high.baseUpper),
    write(type1.prefetchableLimitUpper32, high.limitUpper),
  ];
}

function commandOf({ bars }: PlannedFunction, bridge: PlannedBridge | undefined): number {
  const io = bars.some(({ type }) => type === 'io') || (bridge?.io ?? null) !== null;
  const memory =
    bars.some(({ type }) => type !== 'io') ||
    (bridge?.memory ?? null) !== null ||
    (bridge?.prefetchable ?? null) !== null;
  return (io ? Command.io : 0) | (memory ? Command.memory : 0) | (bridge ? Command.busMaster : 0);
}
