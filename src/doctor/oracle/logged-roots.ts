import { alignUp } from '../../address/align.js';
import { FOUR_GIB, MiB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import type { LogLine } from '../../import/log/line.js';
import type { WindowFact } from '../../import/log/window-line.js';
import type { Bdf } from '../../pci/bdf.js';
import type { Scene } from '../scene/scene.js';

/** Whether something stands in one boot's log. */
export type Here = (one: { readonly line: LogLine }) => boolean;

/** One root bus with its windows. */
export interface LoggedRoot {
  readonly segment: number;
  readonly bus: number;
  readonly lastBus: number;
  readonly windows: readonly WindowFact[];
  /** A device tree describes it: the line names the controller. */
  readonly deviceTree: boolean;
  /** From here on all below it is placed; what comes later was plugged in or moved by a driver. */
  readonly settled?: LogLine;
  readonly line: LogLine;
}

/** The root bus that a function lies below. */
export const rootOf = (roots: readonly LoggedRoot[], at: Bdf): LoggedRoot | undefined =>
  roots
    .filter(({ segment, bus, lastBus }) => segment === at.segment && bus <= at.bus && at.bus <= lastBus)
    .reduce<LoggedRoot | undefined>((nearest, one) => (nearest && nearest.bus > one.bus ? nearest : one), undefined);

/** SMBIOS tables, firmware's own pages and the like are cut out of RAM: its end is rounded up. */
const RAM_STEP = 16n * MiB;

export function memoryOf({ evidence }: Scene, here: Here): { ram: AddressRange[]; reserved: AddressRange[] } {
  const all = evidence.hosts.filter(here).filter((fact) => fact.kind === 'firmware-range');
  const usable = all.filter(({ type }) => type === 'usable').map(({ range }) => range);
  const end = (ranges: readonly AddressRange[]) =>
    ranges.reduce((most, { limit }) => (limit >= most ? alignUp(limit + 1n, RAM_STEP) : most), 0n);
  const low = end(usable.filter(({ base }) => base < FOUR_GIB));
  const high = end(usable.filter(({ base }) => base >= FOUR_GIB));
  return {
    ram: [
      ...(low > 0n ? [AddressRange.sized(0n, low)] : []),
      ...(high > 0n ? [AddressRange.of(FOUR_GIB, high - 1n)] : []),
    ],
    reserved: all.filter(({ type, range }) => type !== 'usable' && range.base >= FOUR_GIB).map(({ range }) => range),
  };
}

export function rootsOf({ evidence }: Scene, here: Here): LoggedRoot[] {
  const hosts = evidence.hosts.filter(here);
  const roots = new Map<string, LoggedRoot>();
  for (const fact of hosts) {
    if (fact.kind !== 'root-bus') continue;
    const windows = hosts.filter(
      (one): one is WindowFact =>
        one.kind === 'root-window' && one.from === 'root' && one.segment === fact.segment && one.bus === fact.bus,
    );
    // The range of bus numbers stands on the root bus's own line.
    const range = hosts.find(
      (one) => one.kind === 'root-buses' && one.segment === fact.segment && one.first === fact.bus,
    );
    const settled = hosts.find((one) => one.kind === 'settled' && one.segment === fact.segment && one.bus === fact.bus);
    roots.set(`${fact.segment}:${fact.bus}`, {
      segment: fact.segment,
      bus: fact.bus,
      lastBus: range?.kind === 'root-buses' ? range.last : 255,
      windows: unrepeated(windows),
      deviceTree: fact.controller !== undefined,
      ...(settled ? { settled: settled.line } : {}),
      line: fact.line,
    });
  }
  return [...roots.values()];
}

const unrepeated = (windows: readonly WindowFact[]): WindowFact[] =>
  windows.filter((one, i) => windows.findIndex(({ range }) => range.equals(one.range)) === i);
