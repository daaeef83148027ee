import { AddressRange } from '../address/range.js';
import { ADDRESS_SPACE, type BusAddress } from '../address/kinds.js';
import { ascending } from '../address/align.js';
import { hex } from '../address/format.js';
import { deviceFunction } from '../pci/bdf.js';
import type { BoardMap } from './boards/board.js';
import { boards, findBoard } from './boards/boards.js';
import type { Bar, BridgePins, HostBridge, HostWindow, Machine, MachineFunction } from './model.js';
import { noReserve } from './model.js';
import type { FunctionOutput, MachineFile } from './schema.js';

/** Says that something at `path` of the file cannot be. */
export type Complain = (path: readonly (string | number)[], message: string, hint?: string) => void;

/**
 * Makes the model of a machine file: fills in what the board implies and checks what single values cannot tell.
 * Problems go to `complain`; the result is to be used only where there were none.
 */
export function normalize(file: MachineFile, complain: Complain): Machine {
  const { machine } = file;
  const board = boardMap(file, complain);
  const ram = ramRanges(file, board, complain);
  const reserved = file.reserved.flatMap((entry, i) => {
    const range = rangeOf(entry, ['reserved', i], complain);
    return range ? [{ range, reason: entry.reason }] : [];
  });
  const ids = new Map<string, string>();
  const hostBridges = file.hostBridges.map((bridge, i): HostBridge => {
    const path = ['hostBridges', i];
    uniqueId(ids, bridge.id, path, 'host bridge', complain);
    if (bridge.buses[0] > bridge.buses[1]) {
      complain([...path, 'buses'], `first bus ${bridge.buses[0]} lies above last bus ${bridge.buses[1]}`);
    }
    const implied = i === 0 ? board?.hostBridge.windows : undefined;
    if (!bridge.windows && !implied) {
      complain(
        path,
        `host bridge ${bridge.id} has no windows, and no board implies them`,
        'add windows: with type, base and size',
      );
    }
    return {
      id: bridge.id,
      segment: bridge.segment,
      buses: bridge.buses,
      windows:
        bridge.windows?.map((window, w) => hostWindow(window, [...path, 'windows', w], complain)) ?? implied ?? [],
      functions: functionsOf(bridge.functions, [...path, 'functions'], ids, complain),
    };
  });
  return {
    arch: machine.arch,
    board: machine.board,
    ram,
    physicalAddressBits: machine.physicalAddressBits,
    properties: Object.fromEntries(
      Object.entries(machine.properties).map(([key, value]) => [
        key,
        typeof value === 'number' ? BigInt(Math.trunc(value)) : value,
      ]),
    ),
    allowNonPrefetchableInPrefetchable: machine.allowNonPrefetchableInPrefetchable,
    reserved,
    hostBridges: hostBridges.length > 0 || !board ? hostBridges : [{ ...board.hostBridge, functions: [] }],
  };
}

function boardMap(file: MachineFile, complain: Complain): BoardMap | undefined {
  const { arch, board: name, properties, ram } = file.machine;
  if (name === 'none') return undefined;
  const board = findBoard(name, arch);
  const path = ['machine', 'board'];
  const described = file.hostBridges.length > 0 && file.hostBridges.every((bridge) => bridge.windows);
  if (!board) {
    // A board that pinbar does not know is no hindrance where the file says everything itself.
    if (described && Array.isArray(ram)) return undefined;
    const known = boards.map((one) => `${one.name} (${one.arch})`).join(', ');
    complain(
      path,
      `pinbar does not know the memory map of board ${name} for ${arch}`,
      `known: ${known}; for any other, give machine.ram as a list of { base, size } and windows of each host bridge`,
    );
    return undefined;
  }
  for (const key of Object.keys(properties)) {
    if (!board.properties.includes(key)) {
      complain(
        ['machine', 'properties', key],
        `board ${name} (${arch}) has no property ${key} that moves its map`,
        board.properties.length > 0 ? `those that do: ${board.properties.join(', ')}` : undefined,
      );
    }
  }
  const total = typeof ram === 'bigint' ? ram : (ram?.reduce((sum, one) => sum + one.size, 0n) ?? 0n);
  if (total <= 0n) {
    complain(['machine', 'ram'], `board ${name} needs to know how much RAM there is`, 'set machine.ram, such as 4GiB');
    return undefined;
  }
  try {
    const exact = Object.fromEntries(
      Object.entries(properties).map(([key, value]) => [
        key,
        typeof value === 'number' ? BigInt(Math.trunc(value)) : value,
      ]),
    );
    return board.map({ ram: total, properties: exact });
  } catch (error) {
    complain(
      ['machine'],
      `board ${name} cannot have this map: ${error instanceof Error ? error.message : String(error)}`,
    );
    return undefined;
  }
}

function ramRanges(file: MachineFile, board: BoardMap | undefined, complain: Complain): readonly AddressRange[] {
  const { ram, board: name } = file.machine;
  if (Array.isArray(ram)) {
    const ranges = ram
      .flatMap((entry, i) => rangeOf(entry, ['machine', 'ram', i], complain) ?? [])
      .sort((a, b) => ascending(a.base, b.base));
    ranges.forEach((range, i) => {
      const next = ranges[i + 1];
      if (next && range.overlaps(next)) complain(['machine', 'ram'], `RAM ranges ${range} and ${next} overlap`);
    });
    return ranges;
  }
  if (ram !== undefined && !board && name === 'none' && ram > 0n) {
    complain(['machine', 'ram'], 'with board none pinbar cannot know where RAM lies', 'give a list of { base, size }');
  }
  return board?.ram ?? [];
}

function rangeOf(
  entry: { readonly base: bigint; readonly size: bigint },
  path: readonly (string | number)[],
  complain: Complain,
): AddressRange | undefined {
  if (entry.size > 0n && entry.base + entry.size <= ADDRESS_SPACE) return AddressRange.sized(entry.base, entry.size);
  complain(
    path,
    entry.size === 0n
      ? `the range at ${hex(entry.base)} has size 0`
      : `${hex(entry.base)} plus ${hex(entry.size)} runs past 64 bits`,
  );
  return undefined;
}

function hostWindow(
  window: { type: HostWindow['type']; base: bigint; size: bigint; cpuBase?: bigint | undefined },
  path: readonly (string | number)[],
  complain: Complain,
): HostWindow {
  const range = rangeOf(window, path, complain);
  if (range && window.type !== 'mem64' && range.limit >= 1n << 32n) {
    complain(
      path,
      `the ${window.type} window ${range} runs past 4 GiB`,
      'end it at or below 0xffffffff, or make it a mem64 window',
    );
  }
  const cpuBase = window.cpuBase ?? window.base;
  if (cpuBase !== window.base) rangeOf({ base: cpuBase, size: window.size }, [...path, 'cpuBase'], complain);
  return { type: window.type, base: window.base, size: window.size, cpuBase };
}

function uniqueId(
  ids: Map<string, string>,
  id: string,
  path: readonly (string | number)[],
  what: string,
  complain: Complain,
) {
  const other = ids.get(id);
  if (other)
    complain(
      [...path, 'id'],
      `${what} ${id} has the same id as another ${other}`,
      'ids name things in plans and pins: make each one different',
    );
  ids.set(id, what);
}

function functionsOf(
  functions: readonly FunctionOutput[],
  path: readonly (string | number)[],
  ids: Map<string, string>,
  complain: Complain,
): MachineFunction[] {
  const slots = new Map<number, string>();
  return functions
    .map((fn, i): MachineFunction => {
      const here = [...path, i];
      uniqueId(ids, fn.id, here, 'function', complain);
      const taken = slots.get(deviceFunction(fn.slot));
      if (taken !== undefined) complain([...here, 'slot'], `${fn.id} sits in the same slot as ${taken}`);
      slots.set(deviceFunction(fn.slot), fn.id);
      return functionOf(fn, here, ids, complain);
    })
    .sort((a, b) => deviceFunction(a.slot) - deviceFunction(b.slot));
}

function functionOf(
  fn: FunctionOutput,
  path: readonly (string | number)[],
  ids: Map<string, string>,
  complain: Complain,
): MachineFunction {
  const { rom, sriov, bridge } = fn;
  if (rom) romSize(fn.id, rom.size, [...path, 'rom'], complain);
  return {
    id: fn.id,
    slot: fn.slot,
    ...defined({ vendor: fn.vendor, device: fn.device, class: fn.class }),
    bars: barsOf(fn.id, fn.bars, bridge ? 2 : 6, [...path, 'bars'], complain),
    ...(rom ? { rom: { size: rom.size, ...defined({ pin: rom.pin }) } } : {}),
    ...(sriov
      ? {
          sriov: {
            totalVfs: sriov.totalVfs,
            firstVfOffset: sriov.firstVfOffset,
            vfStride: sriov.vfStride,
            bars: barsOf(fn.id, sriov.bars, 6, [...path, 'sriov', 'bars'], complain, true),
          },
        }
      : {}),
    ...(bridge
      ? {
          bridge: {
            kind: bridge.kind,
            io: bridge.io,
            prefetchable: bridge.prefetchable,
            hotplug: bridge.hotplug,
            reserve: { ...noReserve, ...exactReserve(bridge.reserve) },
            pin: bridgePins(bridge.pin, [...path, 'bridge', 'pin'], complain),
            functions: functionsOf(bridge.functions, [...path, 'bridge', 'functions'], ids, complain),
          },
        }
      : {}),
  };
}

const exactReserve = (reserve: {
  buses: number;
  io: bigint | number;
  memory: bigint | number;
  prefetchable: bigint | number;
}) => ({
  buses: reserve.buses,
  io: BigInt(reserve.io),
  memory: BigInt(reserve.memory),
  prefetchable: BigInt(reserve.prefetchable),
});

/** The given properties without those that are undefined. */
function defined<T extends Record<string, unknown>>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}

function bridgePins(
  pin: NonNullable<NonNullable<FunctionOutput['bridge']>['pin']>,
  path: readonly (string | number)[],
  complain: Complain,
): BridgePins {
  const ranges = (['io', 'memory', 'prefetchable'] as const).flatMap((key) => {
    const entry = pin[key];
    const range = entry && rangeOf(entry, [...path, key], complain);
    return range ? [[key, range] as const] : [];
  });
  return { ...defined({ secondary: pin.secondary, subordinate: pin.subordinate }), ...Object.fromEntries(ranges) };
}

interface BarInput {
  readonly index: number;
  readonly type: Bar['type'];
  readonly prefetchable: boolean;
  readonly size: bigint;
  readonly pin?: BusAddress | undefined;
}

function barsOf(
  id: string,
  bars: readonly BarInput[],
  registers: number,
  path: readonly (string | number)[],
  complain: Complain,
  vf = false,
): Bar[] {
  const owner: (number | undefined)[] = [];
  const what = (index: number) => `${id} ${vf ? 'VF BAR' : 'BAR'} ${index}`;
  bars.forEach((bar, i) => {
    const here = [...path, i];
    const last = bar.type === 'mem64' ? bar.index + 1 : bar.index;
    if (last >= registers) {
      complain(
        [...here, 'index'],
        `${what(bar.index)} ${bar.type === 'mem64' ? `takes registers ${bar.index} and ${last}` : 'does not exist'}`,
        `${registers === 2 ? 'a bridge has BARs 0 and 1' : 'a function has BARs 0 to 5'}`,
      );
    }
    for (let register = bar.index; register <= last; register++) {
      const other = owner[register];
      if (other !== undefined)
        complain([...here, 'index'], `${what(bar.index)} takes register ${register}, which is BAR ${other}'s already`);
      owner[register] = bar.index;
    }
    barSize(what(bar.index), bar, here, complain);
    if (vf && bar.type === 'io')
      complain([...here, 'type'], `${what(bar.index)} is io: VFs have no I/O space (PCI Express Base 6.0 §9.3.3.14)`);
  });
  return bars
    .map((bar) => ({
      index: bar.index,
      type: bar.type,
      prefetchable: bar.prefetchable,
      size: bar.size,
      ...defined({ pin: bar.pin }),
    }))
    .sort((a, b) => a.index - b.index);
}

/** PCI Local Bus 3.0 §6.2.5.1: a BAR decodes a power of two; at least 4 ports or 16 bytes; one of 32 bits at most 2 GiB. */
function barSize(what: string, bar: BarInput, path: readonly (string | number)[], complain: Complain) {
  const { size, type } = bar;
  const least = type === 'io' ? 4n : 16n;
  const here = [...path, 'size'];
  if (size <= 0n || (size & (size - 1n)) !== 0n)
    complain(here, `${what} has size ${hex(size)}, which is not a power of two`);
  else if (size < least) complain(here, `${what} has size ${hex(size)}: the smallest ${type} BAR has ${least} bytes`);
  else if (type !== 'mem64' && size > 1n << 31n)
    complain(here, `${what} has size ${hex(size)}: a ${type} BAR has at most 0x80000000 bytes`, 'make it mem64');
  if (type === 'io' && bar.prefetchable)
    complain([...path, 'prefetchable'], `${what} is io: only memory can be prefetchable`);
}

/** PCI Local Bus 3.0 §6.2.5.2: 2 KiB to 16 MiB. */
function romSize(id: string, size: bigint, path: readonly (string | number)[], complain: Complain) {
  const here = [...path, 'size'];
  if (size <= 0n || (size & (size - 1n)) !== 0n)
    complain(here, `the ROM of ${id} has size ${hex(size)}, which is not a power of two`);
  else if (size < 0x800n || size > 1n << 31n)
    complain(here, `the ROM of ${id} has size ${hex(size)}: a ROM register can hold 2 KiB to 2 GiB`);
}
