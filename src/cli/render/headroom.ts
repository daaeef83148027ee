import { formatSize, hex, roughSize } from '../../address/format.js';
import type { BusHeadroom, Headroom, PortHeadroom, WindowHeadroom } from '../../place/headroom.js';
import type { Style } from '../io.js';
import { renderTable, type Column } from './table.js';

/** How much room a plan leaves: host bridge windows, bus numbers, and what could be plugged in. */
export function renderHeadroom({ windows, buses, ports }: Headroom, style: Style): string {
  const ofWindows: Column<WindowHeadroom>[] = [
    { title: 'WINDOW', text: ({ id, type }) => `${id} ${type}` },
    { title: 'BASE', text: ({ base }) => hex(base), align: 'right' },
    { title: 'SIZE', text: ({ size }) => roughSize(size), align: 'right' },
    { title: 'FREE', text: ({ free, size }) => `${roughSize(free)} (${share(free, size)})`, align: 'right' },
    { title: 'LARGEST BAR IN IT', text: ({ largest }) => sizeOf(largest), align: 'right' },
    { title: 'LEAST SIZE WITH A PLAN', text: ({ least }) => (least === 0n ? '0' : roughOf(least)), align: 'right' },
  ];
  const ofPorts: Column<PortHeadroom>[] = [
    { title: 'PORT', text: ({ id }) => id, paint: (cell) => style.bold(cell) },
    { title: 'MEMORY', text: ({ asIs }) => sizeOf(asIs.memory), align: 'right' },
    { title: 'PREFETCHABLE', text: ({ asIs }) => sizeOf(asIs.prefetchable), align: 'right' },
    { title: 'MEMORY, GROWN', text: ({ grown }) => sizeOf(grown.memory), align: 'right' },
    { title: 'PREFETCHABLE, GROWN', text: ({ grown }) => sizeOf(grown.prefetchable), align: 'right' },
  ];
  const numbers = buses.map(({ id, used, range }) => {
    const left = range[1] - used[1];
    return `${id} has ${left} of ${range[1] - range[0] + 1} bus numbers left.\n`;
  });
  return [
    `\n${style.bold('Headroom')}\n`,
    renderTable(ofWindows, windows, style.bold),
    ...numbers,
    closest(windows, buses),
    ports.length > 0
      ? `\nThe largest BAR of a device that is plugged in: in the port's windows as they are, or if they grow and nothing else moves.\n${renderTable(ofPorts, ports, style.bold)}`
      : '',
  ].join('');
}

/** What least sizes are known to. */
const STEP = 4096n;

interface Spare {
  /** Of the whole, what it could lose. */
  readonly spare: number;
  readonly text: string;
}

/** The window, or the bus numbers, that have the smallest share to lose. What nothing needs cannot fail. */
function closest(windows: readonly WindowHeadroom[], buses: readonly BusHeadroom[]): string {
  const all = [
    ...windows.flatMap((one) => (one.least ? [spareOf(one, one.least)] : [])),
    ...buses.flatMap((one) => (one.used[1] > one.used[0] ? [spareBuses(one)] : [])),
  ];
  const [first, ...rest] = all;
  if (!first) return '';
  return `Closest to failing: ${rest.reduce((a, b) => (b.spare < a.spare ? b : a), first).text}.\n`;
}

function spareOf({ id, type, size }: WindowHeadroom, least: bigint): Spare {
  const lost = size - least;
  const text =
    lost === 0n
      ? `${id} ${type}; were the window ${formatSize(size < STEP ? size : STEP)} smaller, there would be no plan`
      : `${id} ${type}; it could lose ${roughSize(lost)} (${share(lost, size)}) and there would still be a plan, and not ${formatSize(STEP)} more`;
  return { spare: Number(lost) / Number(size), text };
}

function spareBuses({ id, used, range }: BusHeadroom): Spare {
  const [left, all] = [range[1] - used[1], range[1] - range[0] + 1];
  return { spare: left / all, text: `the bus numbers of ${id}; ${left} of ${all} are left` };
}

const sizeOf = (size: bigint | undefined) =>
  size === undefined ? 'not known' : size === 0n ? 'none' : formatSize(size);
const roughOf = (size: bigint | undefined) => (size === undefined ? 'not known' : roughSize(size));

function share(part: bigint, whole: bigint): string {
  const percent = (Number(part) / Number(whole)) * 100;
  return percent > 0 && percent < 1
    ? 'under 1 %'
    : percent < 100 && percent > 99
      ? 'over 99 %'
      : `${Math.round(percent)} %`;
}
