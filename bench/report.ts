/** Where things are: the repository, a temporary folder for this run, and the command line built into it. */
export interface Bench {
  readonly root: string;
  readonly folder: string;
  readonly pinbar: string;
}

/** A number with its unit, or text. Numbers stay exact in JSON and are rounded in text. */
export type Cell = string | number;

export interface Table {
  readonly title: string;
  /** The first column is left-aligned, the others are numbers. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** A figure that pinbar means to keep below a limit. */
export interface Limit {
  readonly what: string;
  readonly measured: number;
  readonly limit: number;
  readonly unit: string;
  readonly holds: boolean;
}

export interface Report {
  readonly part: string;
  readonly tables: readonly Table[];
  readonly limits: readonly Limit[];
  /** Why something was not measured. */
  readonly skipped: readonly string[];
}

export const limit = (what: string, measured: number, most: number, unit: string): Limit => ({
  what,
  measured,
  limit: most,
  unit,
  holds: measured <= most,
});

/** The report as aligned text. */
export function renderReport({ part, tables, limits, skipped }: Report): string {
  const lines = [
    '',
    `## ${part}`,
    ...tables.flatMap(({ title, columns, rows }) => ['', title, ...align([columns, ...rows])]),
    ...(limits.length > 0 ? [''] : []),
    ...align(
      limits.map(({ what, measured, limit: most, unit, holds }) => [
        `${holds ? 'holds' : 'DOES NOT HOLD'}: ${what}`,
        `${say(measured)}${unit}`,
        `limit ${say(most)}${unit}`,
      ]),
    ),
    ...skipped.map((reason) => `skipped: ${reason}`),
  ];
  return `${lines.join('\n')}\n`;
}

/** Three digits that mean something. */
function say(cell: Cell): string {
  if (typeof cell === 'string') return cell;
  if (Number.isInteger(cell)) return String(cell);
  const size = Math.abs(cell);
  return cell.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

function align(rows: readonly (readonly Cell[])[]): string[] {
  const cells = rows.map((row) => row.map(say));
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)));
  return cells.map((row) =>
    `  ${row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('   ')}`.trimEnd(),
  );
}
