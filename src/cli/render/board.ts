import { ascending } from '../../address/align.js';
import { formatSize, hex, roughSize } from '../../address/format.js';
import { FOUR_GIB, GiB, MiB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import { RangeSet } from '../../address/range-set.js';
import type { Board, BoardMap, BoardOptions } from '../../machine/boards/board.js';
import { formatRelease, NEWEST_KNOWN } from '../../machine/boards/release.js';
import type { HostWindow } from '../../machine/model.js';
import type { Style } from '../io.js';
import { drawStrip } from './strip.js';
import { renderTable } from './table.js';
import { wrap } from './wrap.js';

/** Holes smaller than this are not worth a line. */
const LEAST_HOLE = 16n * MiB;

interface Item {
  readonly range: AddressRange;
  readonly text: string;
  readonly kind: 'ram' | 'window' | 'device' | 'kept' | 'free';
}

/** Every board with the windows that it has with 4 GiB of RAM, and what moves them. */
export function renderBoards(boards: readonly Board[], style: Style): string {
  const rows = boards.map((board) => ({ board, map: board.map({ ram: 4n * GiB, properties: {} }) }));
  const table = renderTable(
    [
      { title: 'board', text: ({ board }) => board.id, paint: style.bold },
      { title: 'machine', text: ({ board }) => board.title },
      { title: 'RAM', text: ({ map }) => map.ram.map(String).join(' ') },
      { title: '32-bit window', text: ({ map }) => windowsOf(map, 'mem32') },
      { title: '64-bit window', text: ({ map }) => windowsOf(map, 'mem64') },
    ],
    rows,
    style.dim,
  );
  const properties = boards.map((board) => `\n${style.bold(board.id)} is moved by\n${propertyTable(board)}`);
  const hint = 'Maps are those of 4 GiB of RAM. One in full: pinbar boards virt-riscv64 --ram 8GiB';
  return `${table}${properties.join('')}\n${style.dim(hint)}\n`;
}

const propertyTable = ({ properties }: Board): string => {
  const table = renderTable(
    [
      { title: '', text: ({ name }) => `  ${name}` },
      { title: '', text: ({ values }) => values },
      { title: '', text: ({ what, since }) => `${what}${since ? ` (QEMU ${formatRelease(since)})` : ''}` },
    ],
    properties,
    String,
  );
  return table.slice(table.indexOf('\n') + 1);
};

const windowsOf = ({ hostBridge }: BoardMap, type: HostWindow['type']): string =>
  hostBridge.windows
    .filter((window) => window.type === type)
    .map(({ base, size }) => AddressRange.sized(base, size).toString())
    .join(' ');

/** One board's map: what lies below 4 GiB and above, drawn to scale, and every range with its name. */
export function renderBoard(board: Board, options: BoardOptions, map: BoardMap, style: Style, width: number): string {
  const items = itemsOf(map);
  const end = items.reduce((last, { range }) => (range.limit > last ? range.limit : last), 0n);
  const top = AddressRange.of(FOUR_GIB, (1n << BigInt(Math.max(33, end.toString(2).length))) - 1n);
  const bits = options.physicalAddressBits;
  const head = `${style.bold(board.id)}  ${board.title}, QEMU ${formatRelease(options.qemu ?? NEWEST_KNOWN)}, ${roughSize(options.ram)} of RAM${bits === undefined ? '' : `, ${bits} address bits`}`;
  const parts = [AddressRange.of(0n, FOUR_GIB - 1n), ...(end >= FOUR_GIB ? [top] : [])];
  const digits = hex(end).length;
  const drawn = parts.map((part) => `\n${strip(part, items, style)}\n${listing(part, items, digits, style).join('')}`);
  const { buses, id, windows } = map.hostBridge;
  const ports = windows
    .filter(({ type }) => type === 'io')
    .map(({ base, size, cpuBase }) => {
      const at = cpuBase - base === 0n ? '' : `, seen by the CPU at ${hex(cpuBase)}`;
      return `I/O ports ${AddressRange.sized(base, size).toString()}${at}`;
    });
  const host = `\n${id}: buses ${buses[0]} to ${buses[1]}${ports.map((one) => `; ${one}`).join('')}\n`;
  const notes = map.notes.map((note) => `${wrap(note, Math.min(width, 110))}\n`).join('');
  return `${head}\n${drawn.join('')}${host}${notes}`;
}

function itemsOf(map: BoardMap): Item[] {
  const windows = map.hostBridge.windows.flatMap(({ type, cpuBase, base, size }): Item[] => {
    // Ports of a PC are not memory.
    if (type === 'io' && cpuBase - base === 0n) return [];
    const text = type === 'io' ? 'window: I/O ports' : `window: ${type === 'mem32' ? '32' : '64'}-bit memory`;
    return [{ range: AddressRange.sized(cpuBase, size), text, kind: 'window' }];
  });
  return [
    ...map.ram.map((range): Item => ({ range, text: 'RAM', kind: 'ram' })),
    ...windows,
    ...map.regions.map(({ range, name, use }): Item => ({
      range,
      text: name,
      kind: use === 'kept' ? 'kept' : 'device',
    })),
  ];
}

function strip(part: AddressRange, items: readonly Item[], style: Style): string {
  const marks = style.unicode
    ? { free: '·', ram: '█', window: '░', device: '▓', kept: '×' }
    : { free: '.', ram: '#', window: '-', device: '=', kept: 'x' };
  const order = ['kept', 'window', 'ram', 'device'];
  const pieces = items
    .toSorted((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind))
    .map(({ range, kind }) => ({ range, mark: marks[kind] }));
  const legend = `${marks.ram} RAM  ${marks.window} window  ${marks.device} device  ${marks.kept} kept by the board  ${marks.free} free`;
  const painted = drawStrip(part, pieces, marks.free, (mark) => (mark === marks.window ? style.green(mark) : mark));
  return `${style.bold(part.base === 0n ? 'below 4 GiB' : 'above 4 GiB')}  ${part.toString()}  ${style.dim(legend)}\n${painted}`;
}

function listing(part: AddressRange, items: readonly Item[], digits: number, style: Style): string[] {
  const inside = items.filter(({ range }) => part.overlaps(range));
  const holes = [...RangeSet.of([part]).subtract(inside.map(({ range }) => range))]
    .filter(({ size }) => size >= LEAST_HOLE)
    .map((range): Item => ({ range, text: 'free', kind: 'free' }));
  // A larger range first where two begin alike; RAM that reaches past 4 GiB is shown where it begins.
  const starts = [...inside.filter(({ range }) => part.contains(range.base)), ...holes];
  const sorted = starts.toSorted(
    (a, b) => ascending(a.range.base, b.range.base) || ascending(b.range.size, a.range.size),
  );
  return sorted.map(({ range, text, kind }) => {
    const line = `  ${hex(range.base).padStart(digits)}-${hex(range.limit).padEnd(digits)}  ${text}  ${kind === 'device' || kind === 'kept' ? formatSize(range.size) : roughSize(range.size)}`;
    if (kind === 'ram') return `${style.bold(line)}\n`;
    if (kind === 'window') return `${style.green(line)}\n`;
    return `${kind === 'free' || kind === 'kept' ? style.dim(`${line}${kind === 'kept' ? '  kept' : ''}`) : line}\n`;
  });
}
