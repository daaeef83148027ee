import { formatSize, hex, roughSize } from '../../address/format.js';
import { formatBdf } from '../../pci/bdf.js';
import { bdfKey } from '../../import/observation.js';
import type {
  Capture,
  CapturedFunction,
  CapturedHostBridge,
  CapturedResource,
  CapturedWindow,
  Missing,
  ResourceState,
} from '../../import/capture/model.js';
import { windowNames } from '../../import/capture/model.js';
import { className } from './class-name.js';
import { typeOf } from './functions.js';
import type { Style } from '../io.js';
import { printable } from './printable.js';
import { renderTable, type Column } from './table.js';

interface Row {
  readonly address: string;
  readonly ids: string;
  readonly kind: string;
  readonly driver: string;
  readonly group: string;
  readonly resource: string;
  readonly type: string;
  readonly size: string;
  readonly at: string;
  readonly note: string;
}

/** A capture for people: its functions as a tree, then the machine around them, then what is not in it. */
export function renderCapture(capture: Capture, style: Style): string {
  const columns: Column<Row>[] = [
    { title: 'FUNCTION', text: (row) => row.address },
    { title: 'IDS', text: (row) => row.ids, paint: (cell) => style.dim(cell) },
    { title: 'CLASS', text: (row) => row.kind },
    { title: 'DRIVER', text: (row) => row.driver, paint: (cell) => style.cyan(cell) },
    { title: 'GROUP', text: (row) => row.group, align: 'right' },
    { title: 'RESOURCE', text: (row) => row.resource },
    { title: 'TYPE', text: (row) => row.type },
    { title: 'SIZE', text: (row) => row.size, align: 'right' },
    { title: 'ADDRESS', text: (row) => row.at, align: 'right' },
    { title: '', text: (row) => row.note, paint: (cell) => style.yellow(cell) },
  ];
  const used = columns.filter(({ title }) => (title !== 'GROUP' && title !== 'DRIVER' ? true : shows(capture, title)));
  const rows = depthFirst(capture.functions).flatMap(({ fn, depth }) => rowsOf(fn, depth));
  const about = [...hostLines(capture), ...capture.hostBridges.flatMap(hostBridgeLines), ...groupLines(capture)];
  return [
    renderTable(used, rows, style.bold),
    about.length > 0 ? `\n${about.map((line) => `${printable(line)}\n`).join('')}` : '',
    renderDoubts(capture, style),
    `\n${summary(capture)}\n`,
  ].join('');
}

const shows = ({ functions }: Capture, column: string): boolean =>
  functions.some((fn) => (column === 'GROUP' ? fn.iommuGroup !== undefined : typeof fn.driver === 'string'));

/** What is not in a capture, and where its sources did not agree. */
export const renderDoubts = (capture: Capture, style: Style): string =>
  [...missingLines(capture, style), ...conflictLines(capture, style)].join('');

/** Every function below its bridge, with the number of bridges above it. */
function depthFirst(functions: readonly CapturedFunction[]): { fn: CapturedFunction; depth: number }[] {
  const known = new Set(functions.map(({ address }) => bdfKey(address)));
  const below = new Map<number, CapturedFunction[]>();
  const tops: CapturedFunction[] = [];
  for (const fn of functions) {
    const above = fn.parent ? bdfKey(fn.parent) : undefined;
    if (above === undefined || !known.has(above)) tops.push(fn);
    else below.set(above, [...(below.get(above) ?? []), fn]);
  }
  const found: { fn: CapturedFunction; depth: number }[] = [];
  const open = tops.map((fn) => ({ fn, depth: 0 })).reverse();
  for (let next = open.pop(); next; next = open.pop()) {
    const { fn, depth } = next;
    found.push(next);
    for (const child of (below.get(bdfKey(fn.address)) ?? []).toReversed()) open.push({ fn: child, depth: depth + 1 });
  }
  return found;
}

function rowsOf(fn: CapturedFunction, depth: number): Row[] {
  const rows: Pick<Row, 'resource' | 'type' | 'size' | 'at' | 'note'>[] = [];
  if (fn.buses) {
    const { secondary, subordinate = secondary } = fn.buses;
    const range = secondary === subordinate ? bus(secondary) : `${bus(secondary)}-${bus(subordinate)}`;
    rows.push({ resource: `bus ${range}`, type: '', size: '', at: '', note: '' });
  }
  const resizable = new Map((fn.resizable ?? []).map(({ index, sizes }) => [index, sizes]));
  fn.bars.forEach((bar) => {
    const sizes = bar.index === undefined ? undefined : resizable.get(bar.index);
    const most = sizes?.at(-1);
    const note = [stateText[bar.state], most === undefined ? '' : `resizable to ${formatSize(most)}`];
    rows.push({
      resource: bar.index === undefined ? 'BAR ?' : `BAR ${bar.index}`,
      type: typeOf(bar.type, bar.prefetchable ?? false),
      ...placeOf(bar),
      note: note.filter(Boolean).join(', '),
    });
  });
  if (fn.rom) {
    // A ROM decodes only while someone reads it.
    const note = fn.rom.state === 'decode-off' ? '' : stateText[fn.rom.state];
    rows.push({ resource: 'ROM', type: 'mem32', ...placeOf(fn.rom), note });
  }
  for (const bar of fn.vfBars) {
    const count = fn.sriov ? `${fn.sriov.totalVfs} x ` : '';
    const size =
      bar.size === undefined ? (bar.groupSize ? formatSize(bar.groupSize) : '?') : `${count}${formatSize(bar.size)}`;
    rows.push({
      resource: `VF BAR ${bar.index}`,
      type: typeOf(bar.type, bar.prefetchable ?? false),
      ...placeOf(bar),
      size,
      note: stateText[bar.state],
    });
  }
  for (const name of windowNames) {
    const window = fn.windows?.[name];
    if (window) rows.push({ resource: 'window', type: name === 'io' ? 'I/O' : name, ...spanOf(window), note: '' });
  }
  if (rows.length === 0) rows.push({ resource: '-', type: '', size: '', at: '', note: '' });
  return rows.map((row, i) => (i > 0 ? { ...blank, ...row } : { ...headOf(fn, depth), ...row }));
}

const blank = { address: '', ids: '', kind: '', driver: '', group: '' };

function headOf(fn: CapturedFunction, depth: number) {
  const digits = (value: number | undefined) => (value === undefined ? '????' : value.toString(16).padStart(4, '0'));
  return {
    address: `${'  '.repeat(depth)}${formatBdf(fn.address)}`,
    ids: fn.vendor === undefined ? '' : `${digits(fn.vendor)}:${digits(fn.device)}`,
    kind: fn.physicalFunction
      ? `VF of ${formatBdf(fn.physicalFunction)}`
      : className(fn.class) || (fn.buses ? 'bridge' : ''),
    driver: fn.driver ?? '',
    group: fn.iommuGroup === undefined ? '' : String(fn.iommuGroup),
  };
}

const stateText: Readonly<Record<ResourceState, string>> = {
  assigned: '',
  'decode-off': 'not decoded',
  'os-only': 'register holds none',
  unassigned: 'UNASSIGNED',
};

const bus = (number: number) => number.toString(16).padStart(2, '0');

function placeOf({ address, busAddress, size }: CapturedResource) {
  const shown = address ?? busAddress;
  return { size: size === undefined ? '?' : formatSize(size), at: shown === undefined ? '-' : hex(shown) };
}

function spanOf({ range, busRange }: CapturedWindow) {
  const shown = range ?? busRange;
  return { size: shown ? roughSize(shown.size) : '', at: shown ? hex(shown.base) : '' };
}

function hostLines({ host }: Capture): string[] {
  const { kernel, arch, physicalAddressBits, iommus = [] } = host;
  const parts = [
    kernel && `Linux ${kernel}`,
    arch,
    physicalAddressBits !== undefined && `${physicalAddressBits} bits of physical address`,
    ...iommus.flatMap(({ name, addressBits }) => (addressBits ? [`${name} with ${addressBits} bits`] : [])).slice(0, 4),
  ].filter(Boolean);
  return parts.length > 0 ? [`host: ${parts.join(', ')}`] : [];
}

function hostBridgeLines({ segment, bus: root, windows }: CapturedHostBridge): string[] {
  const name = `${segment.toString(16).padStart(4, '0')}:${bus(root)}`;
  if (!windows) return [`root bus ${name}: windows not shown`];
  return windows.map(({ type, address, size, base }) => {
    const translated =
      base !== undefined && (base as bigint) !== (address as bigint) ? `, bus address ${hex(base)}` : '';
    return `root bus ${name}: ${type} window ${hex(address)}-${hex(address + size - 1n)} (${roughSize(size)})${translated}`;
  });
}

/** Reserved regions, each once, with the groups that have it. */
function groupLines({ iommuGroups }: Capture): string[] {
  const regions = new Map<string, number[]>();
  for (const { group, reserved } of iommuGroups) {
    for (const { range, type } of reserved) {
      const key = `${range.toString()} (${type})`;
      regions.set(key, [...(regions.get(key) ?? []), group]);
    }
  }
  return [...regions].map(([region, groups]) => {
    const all = groups.length === iommuGroups.length;
    const shown =
      groups.length > 8 ? `${groups.slice(0, 8).join(', ')} and ${groups.length - 8} more` : groups.join(', ');
    return `IOMMU reserves ${region} in ${all ? 'every group' : `group${groups.length > 1 ? 's' : ''} ${shown}`}`;
  });
}

const reasons: Readonly<Record<Missing['why'], string>> = {
  root: 'root could read it',
  copy: 'the input does not hold it',
  machine: 'the machine does not show it',
};

function missingLines({ missing }: Capture, style: Style): string[] {
  if (missing.length === 0) return [];
  const lines = missing.map(({ what, why, adds, functions }) => {
    const count = functions === undefined ? '' : ` (${functions} function${functions === 1 ? '' : 's'})`;
    return `  ${printable(`${what}${count}: ${reasons[why]}. It would add ${adds}.`)}\n`;
  });
  return [`\n${style.yellow('Not in this capture')}\n`, ...lines];
}

function conflictLines({ conflicts }: Capture, style: Style): string[] {
  if (conflicts.length === 0) return [];
  const most = 20;
  const lines = conflicts.slice(0, most).map(({ address, what, values }) => {
    const said = values.map(({ value, from }) => `${value} (${from})`).join(', but ');
    return `  ${printable(`${address ? `${formatBdf(address)} ` : ''}${what}: ${said}`)}\n`;
  });
  const more = conflicts.length > most ? [`  and ${conflicts.length - most} more\n`] : [];
  return [`\n${style.red('The sources do not agree; the first value was taken')}\n`, ...lines, ...more];
}

function summary({ functions, hostBridges }: Capture): string {
  const bars = functions.reduce((sum, fn) => sum + fn.bars.length, 0);
  const bridges = functions.filter((fn) => fn.buses).length;
  const plural = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;
  const roots = hostBridges.length > 0 ? ` on ${plural(hostBridges.length, 'root bus').replace('buss', 'buses')}` : '';
  return `${plural(functions.length, 'function')}${roots}, ${plural(bridges, 'bridge')}, ${plural(bars, 'BAR')}`;
}
