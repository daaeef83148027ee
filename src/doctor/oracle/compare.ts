import { AddressRange } from '../../address/range.js';
import type { Prediction } from '../../guests/prediction.js';
import type { LogLine } from '../../import/log/line.js';
import type { ResourceName } from '../../import/observation.js';
import type { Difference } from '../finding.js';
import { formatBdf } from '../../pci/bdf.js';
import type { LoggedBoot, LoggedFunction, LoggedResource } from './logged-boot.js';
import { rootOf, type LoggedRoot } from './logged-roots.js';
import { toBus } from './logged-machine.js';

/** What a log shows of a resource: where it lies, `null` for nowhere. */
export type Shown = (root: LoggedRoot, fn: LoggedFunction, resource: LoggedResource) => AddressRange | null;

/** At the kernel's first look: what firmware left. */
export const atFirst: Shown = (root, _, { name, space, first }) => {
  const at = first ? toBus(root, space, first) : null;
  return at && at.base === 0n && !isWindow(name) ? null : at;
};

const isWindow = (name: ResourceName) => name === 'io' || name === 'memory' || name === 'prefetchable';

/** After the kernel has placed. `keeps`: what it finds and does not speak of again stays. */
export const afterwards =
  (keeps: boolean): Shown =>
  (root, _, { first, later, space }) => {
    let at: AddressRange | null = keeps && first && first.base > 0n ? first : null;
    for (const { verb, range } of later) {
      if (verb === 'assigned') at = range ?? at;
      else if (verb === 'found' && keeps) at = range ?? at;
      else if (gone.has(verb)) at = null;
    }
    return at && toBus(root, space, at);
  };

const gone = new Set(['no-space', 'conflict', 'not-covered', 'no-address', 'not-claimed', 'released', 'closed']);

/** Where a log and a prediction differ: devices' BARs first, the largest of them first. Resources for which `skips` is true are not compared. */
export function differencesOf(
  boot: LoggedBoot,
  prediction: Prediction,
  shown: Shown,
  skips: (fn: LoggedFunction, resource: Pick<LoggedResource, 'name' | 'size'>, at: AddressRange | null) => boolean,
): Difference[] {
  const functions = new Map(prediction.functions.map((fn) => [fn.id, fn]));
  const bridges = new Map(prediction.bridges.map((bridge) => [bridge.id, bridge]));
  const found: Difference[] = [];
  for (const fn of boot.functions.values()) {
    const address = formatBdf(fn.address);
    const root = rootOf(boot.roots, fn.address);
    const planned = functions.get(address);
    if (!root || !planned || formatBdf(planned.address) !== address) {
      found.push({ address, what: 'numbers', shown: null, predicted: null, line: fn.line });
      continue;
    }
    const bridge = bridges.get(address);
    const names = new Set<ResourceName>([...fn.resources.keys(), ...(bridge ? windows : [])]);
    for (const name of names) {
      const resource = fn.resources.get(name);
      const at = resource ? shown(root, fn, resource) : null;
      const predicted =
        name === 'io' || name === 'memory' || name === 'prefetchable'
          ? (bridge?.[name] ?? null)
          : placeOf(planned, name, resource?.size ?? 0n);
      if (at === null ? predicted === null : predicted !== null && at.equals(predicted)) continue;
      if (skips(fn, resource ?? { name, size: 0n }, at)) continue;
      found.push({ address, what: name, shown: at, predicted, line: lineOf(resource) ?? fn.line });
    }
  }
  return devicesFirst(boot, found);
}

/** Devices' BARs first, the largest of them first. */
export function devicesFirst({ functions }: LoggedBoot, found: readonly Difference[]): Difference[] {
  const bridges = new Set([...functions.values()].flatMap((fn) => (fn.isBridge ? [formatBdf(fn.address)] : [])));
  const rank = ({ address, what }: Difference) => (typeof what === 'number' && !bridges.has(address) ? 0 : 1);
  const size = ({ shown, predicted }: Difference) => (shown ?? predicted)?.size ?? 0n;
  return found.toSorted((a, b) => rank(a) - rank(b) || Number(size(b) - size(a)));
}

const windows = ['io', 'memory', 'prefetchable'] as const;

const lineOf = (resource: LoggedResource | undefined): LogLine | undefined =>
  resource?.later.findLast(({ verb }) => verb === 'assigned' || gone.has(verb))?.line ?? resource?.line;

function placeOf(
  { bars, rom, sriov }: Prediction['functions'][number],
  name: number | 'rom' | `vf${number}`,
  size: bigint,
): AddressRange | null {
  const base =
    typeof name === 'number'
      ? bars.find(({ index }) => index === name)?.address
      : name === 'rom'
        ? rom?.address
        : sriov?.bars.find(({ index }) => `vf${index}` === name)?.address;
  return base === undefined ? null : AddressRange.sized(base, size);
}
