import { formatSize, hex } from '../../address/format.js';
import { addressRows, type AddressRow } from '../../enumerate/to-machine.js';
import { allFunctions, type Topology } from '../../enumerate/topology.js';
import type { Reserved } from '../../machine/model.js';
import { formatBdf, type Bdf } from '../../pci/bdf.js';
import type { Plan } from '../../place/plan.js';
import type { Style } from '../io.js';
import { renderMap } from './map.js';
import { renderTable, type Column } from './table.js';

interface Row {
  readonly at: string;
  readonly id: string;
  readonly what: string;
  readonly type: string;
  readonly size: string;
  readonly before: string;
  readonly after: string;
  readonly note: string;
}

/** Every register of a simulated machine before and after it was pinned, and the map; `idOf` names functions of `before`. */
export function renderSimulated(
  idOf: (at: Bdf) => string | undefined,
  before: Topology,
  after: Topology,
  plan: Plan,
  reserved: readonly Reserved[],
  style: Style,
): string {
  const columns: Column<Row>[] = [
    { title: 'FUNCTION', text: (row) => row.at, paint: (cell) => style.dim(cell) },
    { title: 'ID', text: (row) => row.id, paint: (cell) => style.bold(cell) },
    { title: 'RESOURCE', text: (row) => row.what },
    { title: 'TYPE', text: (row) => row.type },
    { title: 'SIZE', text: (row) => row.size, align: 'right' },
    { title: 'BEFORE', text: (row) => row.before, align: 'right', paint: (cell) => style.dim(cell) },
    { title: 'AFTER', text: (row) => row.after, align: 'right' },
    { title: '', text: (row) => row.note, paint: (cell) => style.green(cell) },
  ];
  const now = new Map(allFunctions(after).map((fn) => [formatBdf(fn.at), fn]));
  const planned = new Map(plan.functions.map((fn) => [formatBdf(fn.address), fn]));
  const pinned = (at: string, what: string) => {
    const fn = planned.get(at);
    const bar =
      fn?.bars.find((one) => `bar${one.index}` === what) ?? fn?.sriov?.bars.find((one) => `vf${one.index}` === what);
    return (what === 'rom' ? fn?.rom?.pinned : bar?.pinned) ? 'pinned' : '';
  };
  const rows = allFunctions(before).flatMap((fn): Row[] => {
    const at = formatBdf(fn.at);
    const same = now.get(at);
    const later = new Map((same ? addressRows(same) : []).map((row) => [row.what, row]));
    return addressRows(fn).map((row, i) => ({
      at: i === 0 ? at : '',
      id: i === 0 ? (idOf(fn.at) ?? '') : '',
      what: nameOf(row),
      type: row.prefetchable ? `${row.type} pref` : row.type,
      size: row.size === null || isWindow(row) ? '' : formatSize(row.size),
      before: say(row),
      after: say(later.get(row.what)),
      note: pinned(at, row.what),
    }));
  });
  return `${renderTable(columns, rows, style.bold)}\n${renderMap(plan, style, reserved)}`;
}

const isWindow = ({ what }: AddressRow) => what === 'io' || what === 'memory' || what === 'prefetchable';

function nameOf(row: AddressRow): string {
  if (row.what === 'rom') return 'ROM';
  if (isWindow(row)) return `${row.what === 'io' ? 'I/O' : row.what} window`;
  return row.what.replace(/^vf/, 'VF BAR ').replace(/^bar/, 'BAR ');
}

/** An address register in words: its address, or that it decodes nothing. */
function say(row: AddressRow | undefined): string {
  if (!row) return 'not there';
  if (row.address === null) return 'closed';
  if (isWindow(row)) return `${hex(row.address)}-${hex(row.address + (row.size ?? 1n) - 1n)}`;
  return row.decoding || row.what.startsWith('vf') || row.what === 'rom' ? hex(row.address) : `${hex(row.address)} off`;
}
