import type { AddressRange } from '../../address/range.js';
import type { Bdf } from '../../pci/bdf.js';
import type { Plan } from '../../place/plan.js';
import type { Capture, CapturedBar, CapturedFunction, CapturedResource } from '../capture/model.js';
import { windowNames } from '../capture/model.js';
import { plannedPlaces } from '../compare/planned.js';
import { busAddressOf } from '../machine/endpoint.js';
import type { ResourceName, Space } from '../observation.js';

/** A machine's addresses at one moment, from a capture or a plan, as far as both can tell them. */
export interface Snapshot {
  readonly kind: 'capture' | 'plan';
  /** In order of address. */
  readonly functions: readonly ShotFunction[];
}

export interface ShotFunction {
  readonly address: Bdf;
  /** In a plan. */
  readonly id?: string;
  readonly vendor?: number;
  readonly device?: number;
  readonly subsystem?: { readonly vendor: number; readonly device: number };
  readonly title?: string;
  readonly serial?: bigint;
  readonly iommuGroup?: number;
  readonly isBridge: boolean;
  readonly resources: readonly ShotResource[];
}

export interface ShotResource {
  readonly name: ResourceName;
  readonly space: Space;
  /** Bytes; undefined where it was not shown. */
  readonly size?: bigint;
  /** Bus address; undefined: none, or not known. */
  readonly base?: bigint;
  /** False: it is known that there is no address. */
  readonly assigned: boolean;
}

export function snapshotOfPlan(plan: Plan): Snapshot {
  return {
    kind: 'plan',
    functions: plannedPlaces(plan).map(({ fn, bridge, resources }) => ({
      address: fn.address,
      id: fn.id,
      isBridge: bridge !== undefined,
      resources: resources.map(({ name, space, range }) => ({
        name,
        space,
        ...(range ? { size: range.size, base: range.base } : {}),
        assigned: range !== null,
      })),
    })),
  };
}

export function snapshotOfCapture(capture: Capture): Snapshot {
  const isPc = capture.host.arch === 'x86_64';
  return { kind: 'capture', functions: capture.functions.map((fn) => shot(capture, fn, isPc)) };
}

function shot(capture: Capture, fn: CapturedFunction, isPc: boolean): ShotFunction {
  const { address, vendor, device, subsystem, title, serial, iommuGroup, bars, rom, vfBars, windows } = fn;
  const resource = (
    name: ResourceName,
    seen: CapturedResource & Pick<CapturedBar, 'type'>,
    size = seen.size,
  ): ShotResource => {
    const base = busAddressOf(capture, fn, seen, isPc);
    return {
      name,
      space: seen.type === 'io' ? 'io' : 'memory',
      ...(size === undefined ? {} : { size }),
      ...(base === undefined ? {} : { base }),
      assigned: seen.state === 'assigned' || seen.state === 'decode-off',
    };
  };
  return {
    address,
    ...(vendor === undefined ? {} : { vendor }),
    ...(device === undefined ? {} : { device }),
    ...(subsystem ? { subsystem } : {}),
    ...(title === undefined ? {} : { title }),
    ...(serial ? { serial } : {}),
    ...(iommuGroup === undefined ? {} : { iommuGroup }),
    isBridge: fn.buses !== undefined,
    resources: [
      ...bars.flatMap((bar) => (bar.index === undefined ? [] : [resource(bar.index, bar)])),
      ...(rom ? [resource('rom', { type: 'mem32', ...rom })] : []),
      ...vfBars.map((bar) => resource(`vf${bar.index}`, bar, bar.groupSize)),
      ...windowNames.flatMap((name): ShotResource[] => {
        const window = windows?.[name];
        if (window === undefined) return [];
        const range: AddressRange | undefined = window?.busRange ?? window?.range;
        return [
          {
            name,
            space: name === 'io' ? 'io' : 'memory',
            ...(range ? { size: range.size, base: range.base } : {}),
            assigned: range !== undefined,
          },
        ];
      }),
    ],
  };
}

/** What tells devices of different kinds apart where a side has no ids: its BARs and their sizes. */
export const shapeOf = ({ resources }: ShotFunction): string =>
  resources
    .filter(({ name }) => typeof name === 'number')
    .map(({ name, size }) => `${name}:${size ?? '?'}`)
    .join(' ');
