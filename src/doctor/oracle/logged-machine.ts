import { rangeOfSize } from '../../import/lines.js';
import type { AddressRange } from '../../address/range.js';
import { FOUR_GIB } from '../../address/kinds.js';
import type { Registers } from '../../guests/state.js';
import { bdfKey } from '../../import/observation.js';
import {
  noReserve,
  type Bar,
  type BarType,
  type HostBridge,
  type Machine,
  type MachineFunction,
} from '../../machine/model.js';
import { formatBdf } from '../../pci/bdf.js';
import type { LoggedBoot, LoggedFunction, LoggedResource } from './logged-boot.js';
import type { LoggedRoot } from './logged-roots.js';
import { portKind, type Traits } from './traits.js';

/** The machine that a log shows. Functions are called by the addresses that the log has. */
export interface LoggedMachine {
  readonly machine: Machine;
  /** What the registers held at the kernel's first look, as bus addresses. */
  readonly left: ReadonlyMap<MachineFunction, Registers>;
}

/** A log that shows only a part of a machine, or one that no model knows: a sentence on which. */
export interface NotBuilt {
  readonly open: string;
}

/** Puts a machine together from what a boot's log says of it, and of what it does not say from `traits`. */
export function machineOf(boot: LoggedBoot, traits: Traits): LoggedMachine | NotBuilt {
  const obstacle = obstacleOf(boot);
  if (obstacle) return obstacle;
  const left = new Map<MachineFunction, Registers>();
  const placed = new Set<number>();
  const onBus = new Map<number, LoggedFunction[]>();
  for (const fn of boot.functions.values()) {
    const bus = fn.address.segment * 0x100 + fn.address.bus;
    onBus.set(bus, [...(onBus.get(bus) ?? []), fn]);
  }
  const hostBridges = boot.roots.map((root): HostBridge => {
    let last = root.bus;
    const build = (bus: number): MachineFunction[] => {
      const own = (onBus.get(root.segment * 0x100 + bus) ?? []).toSorted(
        (a, b) => bdfKey(a.address) - bdfKey(b.address),
      );
      return own.flatMap((logged) => {
        const key = bdfKey(logged.address);
        // A bus is reached once: numbers of a log may lead in a ring.
        if (placed.has(key)) return [];
        placed.add(key);
        if (!logged.isBridge) return [functionOf(boot, root, logged, traits, [], left)];
        const secondary = logged.buses?.secondary ?? last + 1;
        last = Math.max(last, secondary);
        const behind = build(secondary);
        last = Math.max(last, logged.buses?.subordinate ?? last);
        return [functionOf(boot, root, logged, traits, behind, left)];
      });
    };
    return {
      id: formatBdf({ segment: root.segment, bus: root.bus, device: 0, fn: 0 }).slice(0, -5),
      segment: root.segment,
      buses: [root.bus, root.lastBus],
      windows: root.windows.map(({ space, range, busBase }) => ({
        type: space === 'io' ? 'io' : busBase + range.size > FOUR_GIB ? 'mem64' : 'mem32',
        base: busBase,
        size: range.size,
        cpuBase: range.base,
      })),
      functions: build(root.bus),
    };
  });
  const lost = [...boot.functions.values()].find(({ address }) => !placed.has(bdfKey(address)));
  if (lost) return { open: `the log does not show what ${formatBdf(lost.address)} lies behind` };
  const machine: Machine = {
    arch: boot.arch,
    board: boot.board,
    ram: boot.ram,
    physicalAddressBits: traits.addressBits,
    properties: {},
    allowNonPrefetchableInPrefetchable: false,
    reserved: boot.reserved.map((range) => ({ range, reason: 'e820' })),
    hostBridges,
  };
  return { machine, left };
}

/** What no model knows. */
function obstacleOf({ roots, functions }: LoggedBoot): NotBuilt | undefined {
  const not = (open: string): NotBuilt => ({ open });
  for (const { windows } of roots) {
    if (windows.some(({ prefetchable, wide }) => prefetchable || wide))
      return not('host bridge windows with flags of their own are not modelled');
  }
  for (const { address, line, resources } of functions.values()) {
    if (line.text.includes('type 02')) return not(`CardBus bridges such as ${formatBdf(address)} are not modelled`);
    for (const { size, name, line: found } of resources.values()) {
      if (found.text.includes('Enhanced Allocation'))
        return not(`ranges that are fixed in ${formatBdf(address)} (Enhanced Allocation) are not modelled`);
      const isBar = name !== 'io' && name !== 'memory' && name !== 'prefetchable';
      if (isBar && !String(name).startsWith('vf') && (size & (size - 1n)) !== 0n)
        return not(`${formatBdf(address)} has a BAR whose size is no power of two`);
    }
  }
  return undefined;
}

function functionOf(
  boot: LoggedBoot,
  root: LoggedRoot,
  logged: LoggedFunction,
  traits: Traits,
  behind: readonly MachineFunction[],
  left: Map<MachineFunction, Registers>,
): MachineFunction {
  const { address, vendor, device, resources } = logged;
  const all = [...resources.values()];
  const bars = all
    .flatMap((resource) => (typeof resource.name === 'number' ? [barOf(resource.name, resource, resource.size)] : []))
    .toSorted((a, b) => a.index - b.index);
  const groups = all.filter(({ vfs }) => vfs !== undefined);
  const rom = resources.get('rom');
  const hints = boot.told?.bridges.get(bdfKey(address))?.hints;
  const fn: MachineFunction = {
    id: formatBdf(address),
    slot: { device: address.device, fn: address.fn },
    vendor,
    device,
    class: logged.class,
    bars,
    ...(rom ? { rom: { size: rom.size } } : {}),
    ...(groups.length > 0
      ? {
          sriov: {
            totalVfs: groups[0]?.vfs ?? 0,
            firstVfOffset: 1,
            vfStride: 1,
            bars: groups.map((group) => barOf(vfIndex(group), group, group.size / BigInt(group.vfs ?? 1))),
          },
        }
      : {}),
    ...(logged.isBridge
      ? {
          bridge: {
            kind: portKind(logged),
            io: 32,
            prefetchable: prefetchableBits(logged),
            hotplug: traits.hotplug(logged),
            reserve: noReserve,
            ...(hints ? { hints } : {}),
            pin: {},
            functions: behind,
          },
        }
      : {}),
  };
  left.set(fn, registersOf(root, logged));
  return fn;
}

const vfIndex = ({ name }: LoggedResource): number => Number(String(name).slice(2));

const barOf = (index: number, { space, wide, prefetchable }: LoggedResource, size: bigint): Bar => {
  const type: BarType = space === 'io' ? 'io' : wide ? 'mem64' : 'mem32';
  return { index, type, prefetchable, size };
};

/** The kernel prints `64bit` with every prefetchable window that decodes 64 bits; one that is not printed is not used. */
function prefetchableBits({ resources }: LoggedFunction): 32 | 64 {
  const window = resources.get('prefetchable');
  return window && !window.wide ? 32 : 64;
}

function registersOf(root: LoggedRoot, { address, resources, buses }: LoggedFunction): Registers {
  const bars = new Map<number | string, bigint>();
  const window = (name: 'io' | 'memory' | 'prefetchable') => {
    const resource = resources.get(name);
    return resource?.first ? toBus(root, resource.space, resource.first) : null;
  };
  for (const { name, space, first } of resources.values()) {
    if (!first || name === 'io' || name === 'memory' || name === 'prefetchable') continue;
    const { base } = toBus(root, space, first);
    if (base > 0n) bars.set(name, base);
  }
  return {
    bus: address.bus,
    bars,
    ...(buses
      ? { bridge: { ...buses, io: window('io'), memory: window('memory'), prefetchable: window('prefetchable') } }
      : {}),
  };
}

/** The kernel's numbers as bus addresses, by the host bridge's window that they lie in. */
export function toBus(root: LoggedRoot, space: 'io' | 'memory', range: AddressRange): AddressRange {
  const window = root.windows.find((one) => one.space === space && one.range.contains(range.base));
  if (!window) return range;
  return rangeOfSize(range.base - window.range.base + window.busBase, range.size) ?? range;
}
