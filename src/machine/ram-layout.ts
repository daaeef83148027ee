import { alignDown, alignUp, ascending, maxOf } from '../address/align.js';
import { formatQemuSize, formatSize, hex } from '../address/format.js';
import { ADDRESS_SPACE, FOUR_GIB, GiB, MiB } from '../address/kinds.js';
import { AddressRange } from '../address/range.js';
import { RangeSet } from '../address/range-set.js';
import type { Board, BoardMap } from './boards/board.js';
import { findBoard } from './boards/boards.js';
import { areOfBoard, boardMapOf, withBoardMemory } from './implied.js';
import type { Machine, Reserved } from './model.js';

/** RAM that cannot be where it is: on a reserved range, or past the address bits. All are CPU addresses. */
export type RamFault =
  | { readonly kind: 'reserved'; readonly ram: AddressRange; readonly reserved: Reserved }
  | { readonly kind: 'address-bits'; readonly ram: AddressRange; readonly bits: number };

/** RAM that cannot be where it is: first what no reserved range is to blame for, then the lowest. */
export function ramFault({ ram, reserved, physicalAddressBits: bits }: Machine): RamFault | undefined {
  const past = ram.find(({ limit }) => bits !== undefined && limit >> BigInt(bits) > 0n);
  if (past && bits !== undefined) return { kind: 'address-bits', ram: past, bits };
  const [met] = ram
    .flatMap((range) =>
      reserved.filter((one) => one.range.overlaps(range)).map((one) => ({ ram: range, reserved: one })),
    )
    .sort((a, b) => ascending(a.reserved.range.base, b.reserved.range.base));
  return met && { kind: 'reserved', ...met };
}

/** The machine with its RAM elsewhere, and what has to be done for it. Nothing else of it has been looked at. */
export interface RamLayout {
  readonly change: string;
  readonly machine: Machine;
}

/**
 * Ways to have the RAM of `fault` off the reserved range that it meets: first those that a stock QEMU can do, then those
 * that take another board or less RAM. Pure.
 */
export function* ramLayouts(machine: Machine, fault: RamFault): Iterable<RamLayout> {
  const board = findBoard(machine.board, machine.arch);
  const implied = impliedBy(machine);
  if (fault.kind === 'address-bits') {
    yield* lessRam(machine, fault.ram, 1n << BigInt(fault.bits), implied);
    return;
  }
  const first = fault.reserved.range.base;
  if (board && implied) yield* loweredSplit(board, machine, first);
  const whole = alignDown(first, GiB);
  // In whole GiB where that leaves any: huge pages of the host, and what people expect.
  const cut = whole > fault.ram.base ? whole : alignDown(first, MiB);
  if (implied) yield* hiddenRam(machine, fault.ram, cut);
  // A PC splits its RAM by itself, where it can at all.
  if (machine.arch !== 'x86_64' || !implied) yield* movedUp(machine, fault.ram, cut, implied);
  yield* lessRam(machine, fault.ram, alignDown(first, MiB), implied);
}

/** The map that the board gives this machine; undefined where the machine file says otherwise. */
function impliedBy(machine: Machine): BoardMap | undefined {
  const map = boardMapOf(machine);
  if (map?.ram.length !== machine.ram.length) return undefined;
  const same = map.ram.every((range, i) => machine.ram[i]?.equals(range) ?? false);
  return same && areOfBoard(machine.hostBridges[0]?.windows ?? [], map) ? map : undefined;
}

const withMap = (machine: Machine, map: BoardMap, ram: readonly AddressRange[] = map.ram): Machine => ({
  ...machine,
  ram,
  hostBridges: machine.hostBridges.map((host, i) =>
    i === 0 ? { ...host, windows: withBoardMemory(host.windows, map) } : host,
  ),
});

/** A PC splits its RAM lower if it is told to. */
function* loweredSplit(board: Board, machine: Machine, first: bigint): Iterable<RamLayout> {
  const property = 'max-ram-below-4g';
  if (!board.properties.some(({ name }) => name === property) || first >= FOUR_GIB) return;
  for (const below of [alignDown(first, GiB), alignDown(first, MiB)]) {
    const properties = { ...machine.properties, [property]: hex(below) };
    const map = below > 0n ? boardMapOf(machine, { properties }) : null;
    if (!map) continue;
    const change = `set the machine property ${property}=${formatQemuSize(below)}: RAM is then ${listed(map.ram)}`;
    yield { change, machine: { ...withMap(machine, map), properties } };
    return;
  }
}

/** What `pinbar run --split-ram` does: the board has the low part, and a BAR in its 64-bit window is the rest. */
function* hiddenRam(machine: Machine, ram: AddressRange, cut: bigint): Iterable<RamLayout> {
  const low = cut - ram.base;
  const high = ram.size - low;
  if (machine.ram.length !== 1 || low <= 0n || low % MiB !== 0n || high % MiB !== 0n || machine.arch === 'x86_64')
    return;
  const map = boardMapOf(machine, { ram: low });
  const window = map?.hostBridge.windows.find(({ type }) => type === 'mem64');
  if (!map || !window) return;
  const room = AddressRange.sized(window.cpuBase, window.size);
  const base = firstFit(
    high,
    room.base,
    MiB,
    machine.reserved.map(({ range }) => range),
  );
  if (base + high - 1n > room.limit) return;
  const own = [AddressRange.sized(ram.base, low), AddressRange.sized(base, high)];
  const where = base === room.base ? '' : `@${hex(base)}`;
  yield {
    change: `start it with pinbar run --split-ram ${compact(low)}+${compact(high)}${where}, which stock QEMU can do: RAM is then ${listed(own)}, the latter cut out of the 64-bit window`,
    machine: withMap(machine, map, own),
  };
}

/** A board that splits its RAM and continues above 4 GiB, as RISE SE_01_005 proposes for riscv64 virt. */
function* movedUp(machine: Machine, ram: AddressRange, cut: bigint, map: BoardMap | undefined): Iterable<RamLayout> {
  if (cut <= ram.base) return;
  const low = AddressRange.of(ram.base, cut - 1n);
  const size = ram.size - low.size;
  const others = machine.ram.filter((range) => range !== ram);
  // The windows of a board that pinbar knows give way to RAM; those of a machine file stay where they are.
  const windows = map ? [] : machine.hostBridges.flatMap((host) => host.windows.filter(({ type }) => type !== 'io'));
  const taken = [
    ...others,
    ...machine.reserved.map(({ range }) => range),
    ...(map?.regions ?? []).filter(({ range }) => range.limit < FOUR_GIB).map(({ range }) => range),
    ...windows.map((window) => AddressRange.sized(window.cpuBase, window.size)),
  ];
  const base = firstFit(size, maxOf(FOUR_GIB, alignUp(cut, GiB)), GiB, taken);
  if (base + size > ADDRESS_SPACE) return;
  const high = AddressRange.sized(base, size);
  const list = [...others, low, high].sort((a, b) => ascending(a.base, b.base));
  const rise = machine.arch === 'riscv64' && machine.board === 'virt' ? ' (RISE SE_01_005)' : '';
  const moved = map ? boardMapOf(machine, { ram: high.limit + 1n - ram.base }) : null;
  const change = `use a board that splits its RAM at ${hex(cut)} and goes on at ${hex(base)}${rise}: machine.ram is then ${listed([low, high])}, as a list`;
  yield { change, machine: moved ? withMap(machine, moved, list) : { ...machine, ram: list } };
}

/** The machine with RAM that ends below `end`. */
function* lessRam(machine: Machine, ram: AddressRange, end: bigint, map: BoardMap | undefined): Iterable<RamLayout> {
  if (end <= ram.base || machine.ram.length > 1) return;
  const range = AddressRange.of(ram.base, end - 1n);
  const smaller = map ? boardMapOf(machine, { ram: range.size }) : null;
  const change = `give the machine no more than ${formatSize(range.size)} of RAM: ${range.toString()}`;
  yield { change, machine: smaller ? withMap(machine, smaller) : { ...machine, ram: [range] } };
}

/** The lowest multiple of `alignment` from `from` on with `size` free bytes; it may run past 64 bits. */
function firstFit(size: bigint, from: bigint, alignment: bigint, taken: readonly AddressRange[]): bigint {
  let base = alignUp(from, alignment);
  for (const range of RangeSet.of(taken)) {
    if (range.limit < base) continue;
    if (range.base >= base + size) break;
    base = alignUp(range.limit + 1n, alignment);
  }
  return base;
}

const listed = (ranges: readonly AddressRange[]): string => ranges.map(String).join(' and ');

/** `1GiB`, `1040MiB`: whole MiB, as --split-ram takes them. */
export const compact = (size: bigint): string => (size % GiB === 0n ? `${size / GiB}GiB` : `${size / MiB}MiB`);
