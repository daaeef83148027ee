import type { SizeAnswer } from '../../size/answer.js';
import type { Sizes } from '../../size/sizes.js';
import type { Style } from '../io.js';
import { printable } from './printable.js';
import { wrap } from './wrap.js';

const titles: Readonly<Record<SizeAnswer['stack'], string>> = {
  qemu: 'QEMU',
  ovmf: 'OVMF',
  cpu: 'Address bits of the guest’s CPU',
  port: 'Root ports, for a device that is plugged in later',
  linux: 'Linux, on its command line',
  libvirt: 'libvirt',
  vmware: 'VMware',
};
const order = Object.keys(titles) as SizeAnswer['stack'][];
/** Prose is broken at this width, where the terminal is wider. */
const WIDEST = 110;

/** Each stack's options with their values and why, then what no option changes. */
export function renderSizes({ answers, notes }: Sizes, style: Style, columns: number): string {
  const width = Math.min(columns, WIDEST);
  const parts = order.flatMap((stack) => {
    const own = answers.filter((one) => one.stack === stack);
    return own.length === 0
      ? []
      : [`${style.bold(titles[stack])}\n${own.map((one) => show(one, style, width)).join('')}`];
  });
  const said = notes.map((note) => `${style.yellow('note:')} ${wrap(printable(note), width - 6, '      ')}\n`);
  return [...parts, ...said].join('\n');
}

function show({ option, where, value, why, smaller }: SizeAnswer, style: Style, width: number): string {
  // libvirt's elements hold their value, and everything else is written before it.
  const set = value !== null && option.includes('…<') ? option.replace('…<', `${style.green(value)}<`) : undefined;
  const inside =
    value !== null && option.includes('"…"') ? option.replace('"…"', `"${style.green(value)}"`) : undefined;
  const assigned = value === null ? `${option}: ${style.dim('leave it out')}` : `${option}=${style.green(value)}`;
  const head = `  ${set ?? inside ?? assigned}`;
  const less = smaller ? ` With ${smaller.value}: ${smaller.fails}.` : '';
  return `${head}  ${style.dim(`(${where})`)}\n      ${wrap(printable(`${why}.${less}`), width - 6, '      ')}\n`;
}
