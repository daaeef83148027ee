import { formatSize, hex, roughSize } from '../../address/format.js';
import type { AddressRange } from '../../address/range.js';
import { compareBdf, formatBdf } from '../../pci/bdf.js';
import type { Plan, PlannedBar } from '../../place/plan.js';
import type { Style } from '../io.js';
import { renderTable, type Column } from './table.js';

interface Row {
  readonly address: string;
  readonly id: string;
  readonly resource: string;
  readonly type: string;
  readonly size: string;
  readonly at: string;
  readonly note: string;
}

/** The functions of a plan as a table: bus address, id, then a line per BAR, ROM, VF BAR group and bridge window. */
export function renderFunctions(plan: Plan, style: Style): string {
  const columns: Column<Row>[] = [
    { title: 'FUNCTION', text: (row) => row.address, paint: (cell) => style.dim(cell) },
    { title: 'ID', text: (row) => row.id, paint: (cell) => style.bold(cell) },
    { title: 'RESOURCE', text: (row) => row.resource },
    { title: 'TYPE', text: (row) => row.type },
    { title: 'SIZE', text: (row) => row.size, align: 'right' },
    { title: 'ADDRESS', text: (row) => row.at, align: 'right' },
    { title: '', text: (row) => row.note, paint: (cell) => style.green(cell) },
  ];
  return renderTable(columns, rowsOf(plan), style.bold);
}

function rowsOf(plan: Plan): Row[] {
  const bridges = new Map(plan.bridges.map((bridge) => [bridge.id, bridge]));
  return [...plan.functions]
    .sort((a, b) => compareBdf(a.address, b.address))
    .flatMap((fn) => {
      const rows: Omit<Row, 'address' | 'id'>[] = [];
      for (const bar of fn.bars) {
        rows.push({
          resource: `BAR ${bar.index}`,
          type: typeOf(bar.type, bar.prefetchable),
          size: formatSize(bar.size),
          at: hex(bar.address),
          note: noteOf(bar),
        });
      }
      if (fn.rom) {
        rows.push({
          resource: 'ROM',
          type: 'mem32',
          size: formatSize(fn.rom.size),
          at: hex(fn.rom.address),
          note: fn.rom.pinned ? 'pinned' : '',
        });
      }
      for (const bar of fn.sriov?.bars ?? []) {
        rows.push({
          resource: `VF BAR ${bar.index}`,
          type: typeOf(bar.type, bar.prefetchable),
          size: `${bar.count} x ${formatSize(bar.size)}`,
          at: hex(bar.address),
          note: noteOf(bar),
        });
      }
      const bridge = bridges.get(fn.id);
      if (bridge) {
        const { secondary, subordinate } = bridge;
        const windows: [string, AddressRange | null][] = [
          ['I/O', bridge.io],
          ['memory', bridge.memory],
          ['prefetchable', bridge.prefetchable],
        ];
        for (const [type, range] of windows) {
          if (range)
            rows.push({ resource: 'window', type, size: roughSize(range.size), at: hex(range.base), note: '' });
        }
        const buses = secondary === subordinate ? `bus ${bus(secondary)}` : `bus ${bus(secondary)}-${bus(subordinate)}`;
        rows.unshift({ resource: buses, type: '', size: '', at: '', note: '' });
      }
      if (rows.length === 0) rows.push({ resource: '-', type: '', size: '', at: '', note: '' });
      return rows.map((row, i) => ({
        ...row,
        address: i === 0 ? formatBdf(fn.address) : '',
        id: i === 0 ? fn.id : '',
      }));
    });
}

/** What is said of a BAR beside where it lies. */
const noteOf = ({ pinned, resizedFrom }: PlannedBar): string =>
  [pinned ? 'pinned' : '', resizedFrom === undefined ? '' : `resized from ${formatSize(resizedFrom)}`]
    .filter(Boolean)
    .join(', ');

const bus = (number: number) => number.toString(16).padStart(2, '0');

export const typeOf = (type: string, prefetchable: boolean): string => (prefetchable ? `${type} pref` : type);
