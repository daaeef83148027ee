import { hex } from '../../address/format.js';
import type {
  Comparison,
  FunctionComparison,
  ResourceComparison,
  ResourceStatus,
} from '../../import/compare/comparison.js';
import type { ResourceName, Source } from '../../import/observation.js';
import { formatBdf } from '../../pci/bdf.js';
import type { Style } from '../io.js';
import { printable } from './printable.js';
import { renderTable, type Column } from './table.js';

interface Row {
  readonly at: string;
  readonly id: string;
  readonly what: string;
  readonly planned: string;
  readonly status: string;
  readonly kept: boolean;
  readonly note: string;
}

/** What of a plan holds in the guest, function by function, and the verdict in one line. */
export function renderComparison(comparison: Comparison, style: Style): string {
  const columns: Column<Row>[] = [
    { title: 'FUNCTION', text: (row) => row.at, paint: (cell) => style.dim(cell) },
    { title: 'ID', text: (row) => row.id, paint: (cell) => style.bold(cell) },
    { title: 'RESOURCE', text: (row) => row.what },
    { title: 'PLANNED', text: (row) => row.planned, align: 'right' },
    {
      title: 'GUEST',
      text: (row) => row.status,
      paint: (cell, row) => (row.kept ? style.green(cell) : style.red(cell)),
    },
    { title: '', text: (row) => row.note },
  ];
  const lines = [
    ...comparison.renumbered.map(
      ({ id, planned, seen, source }) =>
        `bridge ${id}: secondary bus ${planned.secondary} in the plan, ${seen.secondary} in the guest (${say(source)})`,
    ),
    ...comparison.extra.map(
      ({ address, source }) => `${formatBdf(address)} is in the guest and not in the plan (${say(source)})`,
    ),
    ...comparison.notes.map(({ text, source }) => `${text} (${say(source)})`),
    ...comparison.boots
      .filter(({ of }) => of > 1)
      .map(({ file, boot, of }) => `${file} shows ${of} boots; boot ${boot} was compared`),
  ];
  return [
    renderTable(columns, comparison.functions.flatMap(rowsOf), style.bold),
    ...(lines.length > 0 ? ['\n', ...lines.map((line) => `${printable(line)}\n`)] : []),
    `\n${verdict(comparison, style)}\n`,
  ].join('');
}

function rowsOf(fn: FunctionComparison): Row[] {
  const at = formatBdf(fn.planned);
  if (fn.presence !== 'seen') {
    const status = { missing: 'missing', 'not-shown': 'not shown', 'not-scanned': 'not scanned' }[fn.presence];
    return [{ at, id: fn.id, what: '', planned: '', status, kept: fn.presence !== 'missing', note: fn.detail ?? '' }];
  }
  const rows = fn.resources.filter(({ planned, status }) => planned !== null || status === 'moved');
  if (rows.length === 0) return [{ at, id: fn.id, what: '-', planned: '', status: 'seen', kept: true, note: '' }];
  return rows.map((resource, i) => ({
    at: i === 0 ? at : '',
    id: i === 0 ? fn.id : '',
    what: nameOf(resource.name),
    planned: resource.planned ? hex(resource.planned.base) : 'closed',
    status: statusText[resource.status],
    kept: !['moved', 'unassigned'].includes(resource.status),
    note: noteOf(resource),
  }));
}

const statusText: Readonly<Record<ResourceStatus, string>> = {
  holds: 'holds',
  moved: 'MOVED',
  unassigned: 'UNASSIGNED',
  disabled: 'holds, not decoded',
  'not-shown': 'not shown',
  'not-comparable': 'not comparable',
};

function noteOf({ status, movedTo, pinned, detail, facts }: ResourceComparison): string {
  const [fact] = facts;
  const where = fact ? ` (${say(fact.source)})` : '';
  const parts = [
    pinned ? 'pinned' : '',
    movedTo === undefined ? '' : `to ${hex(movedTo)}`,
    detail ?? '',
    ['moved', 'unassigned'].includes(status) ? where.trim() : '',
  ];
  return parts.filter(Boolean).join('  ');
}

function nameOf(name: ResourceName): string {
  if (typeof name === 'number') return `BAR ${name}`;
  if (name === 'rom') return 'ROM';
  if (name.startsWith('vf')) return `VF BAR ${name.slice(2)}`;
  return `${name === 'io' ? 'I/O' : name} window`;
}

const say = ({ file, line }: Source) => `${file}:${line}`;

function verdict({ verdict: is, counts }: Comparison, style: Style): string {
  const { holds, disabled, moved, unassigned, missing } = counts;
  const unknown = counts['not-shown'] + counts['not-comparable'];
  const rest = unknown > 0 ? `; ${unknown} not shown or not comparable` : '';
  switch (is) {
    case 'holds':
      return style.green(`The guest has kept the plan: all ${holds + disabled} resources are where it put them.`);
    case 'incomplete':
      return style.green(`What was shown holds: ${holds + disabled} resources are where the plan put them${rest}.`);
    case 'differs':
      return style.red(
        `The guest has not kept the plan: ${moved} moved, ${unassigned} without an address, ${missing} functions missing; ${holds + disabled} hold${rest}.`,
      );
    case 'nothing-comparable':
      return style.yellow('Nothing in these files can be compared with this plan.');
  }
}
