import { formatSize, hex, roughSize } from '../../address/format.js';
import type { Headroom, PortHeadroom, WindowHeadroom } from '../../place/headroom.js';
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
    closest(windows),
    ports.length > 0
      ? `\nThe largest BAR of a device that is plugged in: in the port's windows as they are, or if they grow and nothing else moves.\n${renderTable(ofPorts, ports, style.bold)}`
      : '',
  ].join('');
}

/** The window that has the smallest share to lose. */
function closest(windows: readonly WindowHeadroom[]): string {
  const known = windows.flatMap((window) =>
    window.least === undefined || window.least === 0n ? [] : [{ window, least: window.least }],
  );
  const [first, ...rest] = known;
  if (!first) return '';
  const spare = ({ window, least }: typeof first) => Number(window.size - least) / Number(window.size);
  const found = rest.reduce((a, b) => (spare(b) < spare(a) ? b : a), first);
  const { window, least } = found;
  if (least === window.size) {
    return `Closest to failing: ${window.id} ${window.type}; were the window smaller at all, there would be no plan.\n`;
  }
  return `Closest to failing: ${window.id} ${window.type}; it could lose ${roughSize(window.size - least)} (${share(window.size - least, window.size)}) and there would still be a plan, and no more.\n`;
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
