import { printable } from './printable.js';

/** One column of a table for people. */
export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  readonly align?: 'right';
  /** Decorates the padded cell; it must not change its width. */
  readonly paint?: (cell: string, row: Row) => string;
}

/** Rows under their titles, columns as wide as their widest cell, two spaces between. */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  title: (text: string) => string,
): string {
  const lineOf = (row: Row) => columns.map((column) => printable(column.text(row)));
  const texts = rows.map(lineOf);
  const widths = columns.map(({ title }, i) =>
    texts.reduce((width, line) => Math.max(width, line[i]?.length ?? 0), title.length),
  );
  const pad = (text: string, i: number) =>
    columns[i]?.align === 'right' ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0);
  const lines = [
    columns.map((column, i) => title(pad(column.title, i))),
    ...rows.map((row, r) =>
      columns.map((column, i) => {
        const cell = pad(texts[r]?.[i] ?? '', i);
        return column.paint ? column.paint(cell, row) : cell;
      }),
    ),
  ];
  return lines.map((cells) => `${cells.join('  ').trimEnd()}\n`).join('');
}
