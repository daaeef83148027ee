import { hex, roughSize } from '../../address/format.js';
import type { Change, Difference, GroupDiff, ResourceDiff } from '../../import/diff/diff.js';
import type { ShotFunction, ShotResource } from '../../import/diff/snapshot.js';
import { formatBdf } from '../../pci/bdf.js';
import type { Style } from '../io.js';
import { printable } from './printable.js';
import { renderTable, type Column } from './table.js';

interface Row {
  readonly a: string;
  readonly b: string;
  readonly resource: string;
  readonly size: string;
  readonly from: string;
  readonly to: string;
  readonly change: Change;
}

/** Functions that are named in one list. */
const MOST_NAMED = 12;

const words: Readonly<Record<Change, string>> = {
  same: 'same',
  moved: 'moved',
  resized: 'another size',
  lost: 'lost its address',
  gained: 'has an address now',
  appeared: 'only in B',
  vanished: 'only in A',
  'not-comparable': 'not shown where',
};

/** A table of what changed, then what only one side has, and the IOMMU groups. */
export function renderDifference(difference: Difference, all: boolean, style: Style): string {
  const { functions, vanished, appeared, groups, verdict } = difference;
  const paint = (cell: string, { change }: Row) =>
    change === 'same'
      ? style.green(cell)
      : change === 'moved' || change === 'lost' || change === 'resized'
        ? style.red(cell)
        : style.yellow(cell);
  const columns: Column<Row>[] = [
    { title: 'A', text: (row) => row.a },
    { title: 'B', text: (row) => row.b },
    { title: 'RESOURCE', text: (row) => row.resource },
    { title: 'SIZE', text: (row) => row.size, align: 'right' },
    { title: 'ADDRESS IN A', text: (row) => row.from, align: 'right' },
    { title: 'IN B', text: (row) => row.to, align: 'right' },
    { title: '', text: (row) => words[row.change], paint },
  ];
  const rows = functions.flatMap(({ a, b, resources }) => {
    // What neither side places, and what one side leaves out, is told only where all is.
    const shown = resources.filter(
      ({ change, counts }) => all || (counts && !['same', 'appeared', 'vanished', 'not-comparable'].includes(change)),
    );
    return shown.map((resource, i) => row(i === 0 ? a : undefined, i === 0 ? b : undefined, resource));
  });
  return [
    rows.length > 0 ? `${renderTable(columns, rows, style.bold)}\n` : '',
    ...listed('only in A', vanished),
    ...listed('only in B', appeared),
    ...groups.map((group) => groupLine(group, style)),
    `${summary(difference, verdict === 'same' ? style.green : style.red)}\n`,
  ].join('');
}

const name = ({ address, id }: ShotFunction): string =>
  id === undefined || id === formatBdf(address) ? formatBdf(address) : `${id} ${formatBdf(address)}`;

function row(
  a: ShotFunction | undefined,
  b: ShotFunction | undefined,
  { name: what, change, a: one, b: other }: ResourceDiff,
): Row {
  const sizes = [one?.size, other?.size].filter((size) => size !== undefined).map(roughSize);
  const place = (seen: ShotResource | undefined) =>
    seen === undefined ? '' : !seen.assigned ? 'none' : seen.base === undefined ? 'not shown' : hex(seen.base);
  const bridge = what === 'io' || what === 'memory' || what === 'prefetchable';
  return {
    a: a ? name(a) : '',
    b: b ? name(b) : '',
    resource:
      typeof what === 'number'
        ? `BAR ${what}`
        : bridge
          ? `${what} window`
          : what === 'rom'
            ? 'ROM'
            : `VF BAR ${what.slice(2)}`,
    size: [...new Set(sizes)].join(', '),
    from: place(one),
    to: place(other),
    change,
  };
}

function listed(what: string, functions: readonly ShotFunction[]): string[] {
  if (functions.length === 0) return [];
  const names = functions.slice(0, MOST_NAMED).map(name).join(', ');
  const more = functions.length > MOST_NAMED ? ` and ${functions.length - MOST_NAMED} more` : '';
  return [`${what}: ${printable(names)}${more}\n`];
}

function groupLine({ group, verdict, functions, absent, side }: GroupDiff, style: Style): string {
  const list = functions.map(({ address }) => formatBdf(address)).join(', ');
  const other = side === 'a' ? 'B' : 'A';
  const without =
    absent.length > 0 ? `; not in ${other}: ${absent.map(({ address }) => formatBdf(address)).join(', ')}` : '';
  const said = {
    holds: style.green('every BAR is at the same address on both sides (GPA = HPA)'),
    differs: style.red('BARs are at other addresses (GPA is not HPA)'),
    unknown: style.yellow('not all addresses are shown'),
  }[verdict];
  return `IOMMU group ${group} (${list}): ${said}${without}\n`;
}

function summary({ verdict, functions, vanished, appeared }: Difference, paint: (text: string) => string): string {
  const resources = functions.flatMap((pair) => pair.resources);
  const count = (change: Change) => resources.filter((one) => one.counts && one.change === change).length;
  const others = resources.some(({ counts, change }) => !counts && (change === 'moved' || change === 'resized'));
  const parts = [
    `${functions.length} function${functions.length === 1 ? '' : 's'} on both sides`,
    ...(['same', 'moved', 'resized', 'lost', 'gained'] as const).flatMap((change) =>
      count(change) > 0 ? [`${count(change)} ${words[change]}`] : [],
    ),
    ...(vanished.length > 0 ? [`${vanished.length} only in A`] : []),
    ...(appeared.length > 0 ? [`${appeared.length} only in B`] : []),
  ];
  const head = { same: 'No BAR differs', differs: 'They differ', 'nothing-comparable': 'Nothing can be compared' }[
    verdict
  ];
  return `${paint(head)}: ${parts.join(', ')}.${others ? ' Windows or ROMs lie elsewhere (--all).' : ''}`;
}
