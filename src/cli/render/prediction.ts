import { formatSize, hex } from '../../address/format.js';
import type { Comparison } from '../../guests/against.js';
import type { Prediction, Unplaced } from '../../guests/prediction.js';
import type { Reserved } from '../../machine/model.js';
import type { ConstraintSubject } from '../../place/plan.js';
import type { Style } from '../io.js';
import { renderPlan } from './result.js';
import { renderTable, type Column } from './table.js';

const nameOf = (prediction: Prediction): string => prediction.guests.map(({ name }) => name).join(',');

/** `BAR 2`, `ROM`, `VF BAR 0`. */
const subject = (bar: ConstraintSubject): string =>
  typeof bar === 'number'
    ? `BAR ${bar}`
    : bar === 'rom'
      ? 'ROM'
      : bar.startsWith('vf')
        ? `VF BAR ${bar.slice(2)}`
        : bar;

/** Where another model stands in for the version that was asked for. */
const standIns = ({ guests }: Prediction): string =>
  guests
    .filter(({ name, model }) => name !== model)
    .map(({ name, model }) => `${name} is predicted as ${model}, the newest model that is not newer.\n`)
    .join('');

/** A prediction as a table and a map, with what is left without an address first. */
export function renderPrediction(prediction: Prediction, style: Style, reserved: readonly Reserved[]): string {
  const name = nameOf(prediction);
  if (prediction.stopped !== undefined) {
    return `${standIns(prediction)}${style.red(`${name} stops`)}: ${prediction.stopped}.\n`;
  }
  const { unplaced } = prediction;
  const head =
    unplaced.length === 0
      ? `${name} places everything.\n\n`
      : `${style.yellow(`${name} leaves ${unplaced.length} without an address`)}:\n${unplaced.map(line).join('')}\n`;
  return `${standIns(prediction)}${head}${renderPlan({ ...prediction, status: 'placed' }, style, reserved)}`;
}

const line = ({ id, bar, size, reason }: Unplaced): string =>
  `  ${id} ${subject(bar)}, ${formatSize(size)}: ${reason}\n`;

interface Row {
  readonly id: string;
  readonly what: string;
  readonly cells: readonly string[];
}

/** Each BAR's address under each guest, `-` where it has none. */
export function renderSideBySide(predictions: readonly Prediction[], style: Style): string {
  const rows = new Map<string, { id: string; what: string; cells: string[] }>();
  const cell = (i: number, id: string, what: string, text: string) => {
    const key = `${id} ${what}`;
    const row = rows.get(key) ?? { id, what, cells: predictions.map(() => '-') };
    row.cells[i] = text;
    rows.set(key, row);
  };
  predictions.forEach((prediction, i) => {
    for (const { id, bars, rom, sriov } of prediction.functions) {
      for (const { index, address } of bars) cell(i, id, `BAR ${index}`, hex(address));
      if (rom) cell(i, id, 'ROM', hex(rom.address));
      for (const { index, address } of sriov?.bars ?? []) cell(i, id, `VF BAR ${index}`, hex(address));
    }
    for (const { id, bar } of prediction.unplaced) cell(i, id, subject(bar), '-');
  });
  const columns: Column<Row>[] = [
    { title: 'ID', text: (row) => row.id, paint: (text) => style.bold(text) },
    { title: 'RESOURCE', text: (row) => row.what },
    ...predictions.map((prediction, i): Column<Row> => ({
      title: nameOf(prediction),
      text: (row) => row.cells[i] ?? '-',
      align: 'right',
    })),
  ];
  const notes = predictions.map(standIns).join('');
  const stops = predictions
    .flatMap((one) => (one.stopped === undefined ? [] : `${nameOf(one)} stops: ${one.stopped}.\n`))
    .join('');
  return `${notes}${stops}${renderTable(columns, [...rows.values()], style.bold)}`;
}

/** What of a plan a guest keeps: left alone, and told to keep it. */
export function renderAgainst(alone: Comparison, told: Comparison | undefined, style: Style): string {
  const name = nameOf(alone.prediction);
  const moves = (one: Comparison): string =>
    [
      ...one.moved.map(
        ({ id, bar, planned, pinned, predicted }) =>
          `  ${id} ${subject(bar)}${pinned ? ' (pinned)' : ''}: ${hex(planned)}, ${predicted === undefined ? 'gets no address' : `goes to ${hex(predicted)}`}\n`,
      ),
      ...one.windows.map(
        ({ id, window, planned, predicted }) =>
          `  ${id} ${window} window: ${planned?.toString() ?? 'closed'}, becomes ${predicted?.toString() ?? 'closed'}\n`,
      ),
    ].join('');
  const say = (how: string, one: Comparison): string => {
    const pins = one.moved.filter(({ pinned }) => pinned).length;
    if (one.moved.length === 0 && one.windows.length === 0)
      return style.green(`${name}, ${how}, has all as planned.\n`);
    const kept = pins === 0 ? 'keeps every pin' : `does not keep ${pins} ${pins === 1 ? 'pin' : 'pins'}`;
    return `${style.yellow(`${name}, ${how}, ${kept}`)}; it differs in:\n${moves(one)}`;
  };
  const keeps = told ? say('told to keep what it finds', told) : `${name} cannot be told to keep what it finds.\n`;
  return `${say('left alone', alone)}${keeps}`;
}
