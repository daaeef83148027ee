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
  const lineOfCells = (cells: readonly string[], paint: (cell: string, column: number) => string): string => {
    const last = cells.findLastIndex((cell) => cell !== '');
    const painted = cells.slice(0, last + 1).map((cell, i) => {
      if (columns[i]?.align === 'right') return paint(cell.padStart(widths[i] ?? 0), i);
      return paint(i === last ? cell : cell.padEnd(widths[i] ?? 0), i);
    });
    return `${painted.join('  ')}\n`;
  };
  const head = lineOfCells(
    columns.map((column) => column.title),
    title,
  );
  const body = rows.map((row, r) => lineOfCells(texts[r] ?? [], (cell, i) => columns[i]?.paint?.(cell, row) ?? cell));
  return [head, ...body].join('');
}
