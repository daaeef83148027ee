/** One column of a table for people. */
export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  readonly align?: 'right';
  /** Decorates the padded cell; it must not change its width. */
  readonly paint?: (cell: string, row: Row) => string;
}

/** Rows under their titles, columns as wide as their widest cell, two spaces between. All text is ASCII of width 1. */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  title: (text: string) => string,
): string {
  const widths = columns.map((column) =>
    rows.reduce((width, row) => Math.max(width, column.text(row).length), column.title.length),
  );
  const pad = (text: string, i: number) =>
    columns[i]?.align === 'right' ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0);
  const lines = [
    columns.map((column, i) => title(pad(column.title, i))),
    ...rows.map((row) =>
      columns.map((column, i) => {
        const cell = pad(column.text(row), i);
        return column.paint ? column.paint(cell, row) : cell;
      }),
    ),
  ];
  return lines.map((cells) => `${cells.join('  ').trimEnd()}\n`).join('');
}
