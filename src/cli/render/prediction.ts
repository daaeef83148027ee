import { formatSize, hex } from '../../address/format.js';
import type { Comparison } from '../../guests/against.js';
import { isNewer } from '../../guests/predict.js';
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

const split = (name: string): [family: string, version: string | undefined] => {
  const [family = '', version] = name.split('-');
  return [family, version];
};

/** Why this model stands for what was asked for. */
function whyThis(name: string, model: string): string {
  const [family, asked] = split(name);
  const [own, version] = split(model);
  const which =
    version === undefined
      ? own === 'seabios'
        ? 'the model of 1.16.2 and older'
        : 'the only model there is'
      : asked === undefined
        ? 'the newest model'
        : isNewer(version, asked)
          ? 'the oldest model there is'
          : asked === version
            ? 'the model of that version'
            : 'the newest model that is not newer';
  return family === own ? which : `${which}: on a PC EDK2 is OVMF`;
}

/** Where another model stands in for the version that was asked for. */
const standIns = ({ guests }: Prediction): string =>
  guests
    .filter(({ name, model }) => name !== model)
    .map(({ name, model }) => `${name} is predicted as ${model}, ${whyThis(name, model)}.\n`)
    .join('');

/** A prediction as a table and a map, with what is left without an address first. */
export function renderPrediction(prediction: Prediction, style: Style, reserved: readonly Reserved[]): string {
  const name = nameOf(prediction);
  if (prediction.stopped !== undefined) {
    return `${standIns(prediction)}${style.red(`${name} stops`)}: ${prediction.stopped}.\n`;
  }
  const copied = prediction.unplaced.filter((one) => copiesRom(prediction, one));
  const unplaced = prediction.unplaced.filter((one) => !copied.includes(one));
  const apart =
    copied.length === 0
      ? ''
      : `By design it copies ROMs to RAM and leaves their registers: ${copied.map(({ id }) => id).join(', ')}.\n`;
  const head =
    unplaced.length === 0
      ? `${name} places everything${copied.length > 0 ? ' but ROMs' : ''}.\n${apart}\n`
      : `${style.yellow(`${name} leaves ${unplaced.length} without an address`)}:\n${unplaced.map(line).join('')}${apart}\n`;
  return `${standIns(prediction)}${head}${renderPlan({ ...prediction, status: 'placed' }, style, reserved)}`;
}

/** EDK2 gives no ROM an address, whatever room there is. */
const copiesRom = ({ guests }: Prediction, { bar }: Unplaced): boolean =>
  bar === 'rom' && /^(?:edk2|ovmf)/.test(guests.at(-1)?.model ?? '');

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
  return `${standIns(alone.prediction)}${say('left alone', alone)}${keeps}`;
}
