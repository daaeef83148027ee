import type { Diagnosis, Finding, Missing, PlacedBy } from '../../doctor/finding.js';
import type { ReadFile } from '../../doctor/evidence.js';
import type { Style } from '../io.js';
import { printable } from './printable.js';
import { wrap } from './wrap.js';

/** Prose is broken at this width, where the terminal is wider. */
const WIDEST = 110;
const INDENT = '     ';

/** A diagnosis for people: cause first, then the lines that show it, the arithmetic, remedies, and what to run next. */
export function renderDiagnosis(
  diagnosis: Diagnosis,
  files: readonly ReadFile[],
  style: Style,
  columns: number,
): string {
  const width = Math.min(columns, WIDEST);
  const { findings, missing, placedBy = [] } = diagnosis;
  return [
    findings.some(({ fault }) => fault) ? '' : nothing(diagnosis, files, style, width),
    ...findings.map((finding, i) => `${i > 0 ? '\n' : ''}${renderFinding(finding, i + 1, style, width)}`),
    placedBy.length > 0
      ? `\n${style.bold('Who placed it')}\n${placedBy.map((one) => renderPlacedBy(one, style, width)).join('\n')}`
      : '',
    missing.length > 0 ? `\n${next(missing, style, width)}` : '',
    captures(files, style, width),
    passedOver(files, style, width),
  ].join('');
}

function nothing({ shown, findings }: Diagnosis, files: readonly ReadFile[], style: Style, width: number): string {
  const isNoisy = findings.length > 0;
  const lines = files.reduce((sum, file) => sum + file.lines, 0);
  const names = files.map(({ name }) => name).join(', ');
  const where = `${lines} line${lines === 1 ? '' : 's'} of ${names}`;
  const text = isNoisy
    ? `Nothing has to be repaired in ${where}. What looks like a fault and is none:`
    : `No BAR or window without a place, no conflict, no refused mapping in ${where}.`;
  const gap = isNoisy ? '\n' : '';
  const answer = (title: string, body: string) => `${title}\n${wrap(printable(body), width)}\n${gap}`;
  if (isNoisy && shown !== 'bars')
    return answer(
      style.green('No fault found.'),
      `Nothing has to be repaired in ${where}. No memory BAR is shown there. What looks like a fault and is none:`,
    );
  if (shown === 'bars' || isNoisy) return answer(style.green('Nothing wrong found.'), text);
  return shown === 'other'
    ? answer(
        style.yellow('No fault found, and no BAR shown.'),
        `No memory BAR is shown, with an address or without, in ${where}: whether every BAR has its place cannot be told.`,
      )
    : answer(
        style.yellow('Nothing about PCI placement found.'),
        `No log, listing or message that says anything of BARs and windows is in ${where}: whether something is wrong cannot be told.`,
      );
}

function renderFinding(finding: Finding, number: number, style: Style, width: number): string {
  const { cause, confidence, fault, summary, evidence, proof, remedies } = finding;
  const paint = !fault ? style.green : confidence === 'possible' ? style.yellow : style.red;
  const how = { certain: style.bold('certain'), likely: 'likely', possible: style.dim('possible') }[confidence];
  const cited = evidence.map(({ source }) => `${printable(source.file)}:${source.line}`);
  const wide = Math.max(...cited.map((where) => where.length));
  const section = (title: string, body: string) => (body === '' ? '' : `\n${INDENT}${style.bold(title)}\n${body}`);
  const prose = (text: string) => `${INDENT}  ${wrap(printable(text), width - INDENT.length - 2, `${INDENT}  `)}\n`;
  return [
    `${String(number).padStart(2)}.  ${style.bold(paint(cause))}  ${how}${fault ? '' : `  ${style.green('harmless')}`}\n`,
    `${INDENT}${wrap(printable(summary), width - INDENT.length, INDENT)}\n`,
    section(
      'Evidence',
      evidence
        .map(
          ({ raw }, i) =>
            `${INDENT}  ${style.dim((cited[i] ?? '').padEnd(wide))}  ${printable(raw.replaceAll('\t', '  '))}\n`,
        )
        .join(''),
    ),
    section('Proof', prose(proof)),
    section('Remedies', remedies.map((remedy) => renderRemedy(remedy, style, width)).join('')),
  ].join('');
}

function renderRemedy({ change, where, why }: Finding['remedies'][number], style: Style, width: number): string {
  const indent = `${INDENT}    `;
  const body = (text: string) => wrap(printable(text), width - indent.length, indent);
  return `${INDENT}  ${style.cyan(where)}\n${indent}${style.bold(body(change))}\n${indent}${body(why)}\n`;
}

function renderPlacedBy({ guest, verdict, summary, evidence, missing }: PlacedBy, style: Style, width: number): string {
  const word = {
    own: style.green('its own order'),
    other: style.yellow('something else decided'),
    open: style.dim('cannot be told'),
  }[verdict];
  const prose = (text: string) => `${INDENT}${wrap(printable(text), width - INDENT.length, INDENT)}\n`;
  return [
    `${INDENT}${style.bold(guest)}  ${word}\n`,
    prose(summary),
    ...evidence.map(
      ({ source, raw }) =>
        `${INDENT}  ${style.dim(`${printable(source.file)}:${source.line}`)}  ${printable(raw.replaceAll('\t', '  '))}\n`,
    ),
    ...missing.map(
      ({ command, why }) =>
        `${INDENT}  ${style.cyan(printable(command))}\n${INDENT}    ${wrap(printable(why), width - INDENT.length - 4, `${INDENT}    `)}\n`,
    ),
  ].join('');
}

function next(missing: readonly Missing[], style: Style, width: number): string {
  const lines = missing.map(
    ({ command, why }) =>
      `${INDENT}${style.cyan(printable(command))}\n${INDENT}  ${wrap(printable(why), width - INDENT.length - 2, `${INDENT}  `)}\n`,
  );
  return `${style.bold('What to run next')}\n${lines.join('')}`;
}

function captures(files: readonly ReadFile[], style: Style, width: number): string {
  return files
    .filter(({ isCapture }) => isCapture)
    .map(({ name }) => {
      const text = `${name} is a capture of pinbar; the doctor reads logs and listings. Captures are read by pinbar import --devices (a machine file), size, diff and twin`;
      return `\n${style.yellow('note:')} ${wrap(printable(text), width - 6)}\n`;
    })
    .join('');
}

function passedOver(files: readonly ReadFile[], style: Style, width: number): string {
  return files
    .filter((file) => file.passedOver > 0)
    .map((file) => {
      const text = `${file.passedOver} of ${file.lines} lines of ${file.name} were searched for messages only: it holds more text without time stamps than is read as listings`;
      return `\n${style.yellow('note:')} ${wrap(printable(text), width - 6)}\n`;
    })
    .join('');
}
