import { ascending } from '../address/align.js';
import { FOUR_GIB } from '../address/kinds.js';
import type { AddressRange } from '../address/range.js';
import type { BoardMap } from './boards/board.js';
import { boardOfFile } from './board-of-file.js';
import { rangeOf, type Complain, type Path } from './complain.js';
import { functionsOf, uniqueId, type Ids } from './functions.js';
import { impliedWindows } from './implied.js';
import type { HostBridge, HostWindow, Machine } from './model.js';
import type { MachineFile } from './schema.js';

/**
 * Makes the model of a machine file: fills in what the board implies and checks what single values cannot tell.
 * Problems go to `complain`; the result is to be used only where there were none.
 */
export function normalize(file: MachineFile, complain: Complain): Machine {
  const { machine } = file;
  const properties = exactProperties(machine.properties, complain);
  const board = boardOfFile(file, properties, complain);
  const ram = ramRanges(file, board, complain);
  const reserved = file.reserved.flatMap((entry, i) => {
    const range = rangeOf(entry, ['reserved', i], complain);
    return range ? [{ range, reason: entry.reason }] : [];
  });
  const ids: Ids = new Map();
  const hostBridges = file.hostBridges.map((bridge, i): HostBridge => {
    const path = ['hostBridges', i];
    uniqueId(ids, bridge.id, path, 'host bridge', complain);
    const implied = i === 0 ? board?.hostBridge : undefined;
    const buses = bridge.buses ?? implied?.buses ?? [0, 255];
    if (buses[0] > buses[1]) {
      complain([...path, 'buses'], `first bus ${buses[0]} lies above last bus ${buses[1]}`);
    }
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
      buses,
      windows:
        bridge.windows?.map((window, w) => hostWindow(window, [...path, 'windows', w], complain)) ??
        (implied ? impliedWindows({ hostBridge: implied }) : []),
      functions: functionsOf(bridge.functions, [...path, 'functions'], ids, complain),
    };
  });
  return {
    arch: machine.arch,
    board: machine.board,
    ...(machine.qemu ? { qemu: machine.qemu } : {}),
    ram,
    physicalAddressBits: machine.physicalAddressBits,
    properties,
    allowNonPrefetchableInPrefetchable: machine.allowNonPrefetchableInPrefetchable,
    reserved,
    hostBridges: hostBridges.length > 0 || !board ? hostBridges : [impliedHost(board.hostBridge)],
  };
}

const impliedHost = (bridge: BoardMap['hostBridge']): HostBridge => ({
  id: bridge.id,
  segment: bridge.segment,
  buses: bridge.buses,
  windows: impliedWindows({ hostBridge: bridge }),
  functions: [],
});

/** Board properties with their numbers exact. */
function exactProperties(given: MachineFile['machine']['properties'], complain: Complain): Machine['properties'] {
  return Object.fromEntries(
    Object.entries(given).flatMap(([key, value]) => {
      if (typeof value !== 'number') return [[key, value]];
      if (Number.isSafeInteger(value)) return [[key, BigInt(value)]];
      complain(['machine', 'properties', key], `${value} cannot be taken exactly as a number`, 'write it as a string');
      return [];
    }),
  );
}

function ramRanges(file: MachineFile, board: BoardMap | undefined, complain: Complain): readonly AddressRange[] {
  const { ram, board: name } = file.machine;
  if (Array.isArray(ram)) {
    const ranges = ram
      .flatMap((entry, i) => rangeOf(entry, ['machine', 'ram', i], complain) ?? [])
      .sort((a, b) => ascending(a.base, b.base));
    ranges.forEach((range, i) => {
      const next = ranges[i + 1];
      if (next && range.overlaps(next))
        complain(['machine', 'ram'], `RAM ranges ${range.toString()} and ${next.toString()} overlap`);
    });
    return ranges;
  }
  if (ram !== undefined && !board && name === 'none' && ram > 0n) {
    complain(['machine', 'ram'], 'with board none pinbar cannot know where RAM lies', 'give a list of { base, size }');
  }
  return board?.ram ?? [];
}

function hostWindow(
  window: { type: HostWindow['type']; base: bigint; size: bigint; cpuBase?: bigint | undefined },
  path: Path,
  complain: Complain,
): HostWindow {
  const range = rangeOf(window, path, complain);
  if (range && window.type !== 'mem64' && range.limit >= FOUR_GIB) {
    complain(
      path,
      `the ${window.type} window ${range.toString()} runs past 4 GiB`,
      'end it at or below 0xffffffff, or make it a mem64 window',
    );
  }
  const cpuBase = window.cpuBase ?? window.base;
  if (cpuBase !== window.base) rangeOf({ base: cpuBase, size: window.size }, [...path, 'cpuBase'], complain);
  return { type: window.type, base: window.base, size: window.size, cpuBase };
}
