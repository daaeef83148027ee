import type { AddressRange } from '../../address/range.js';
import type { CapabilityFacts } from '../function-facts.js';
import type {
  Draft,
  FunctionDraft,
  Observation,
  Placement,
  ResourceName,
  SeenHostWindow,
  SeenResource,
} from '../observation.js';
import { emptyObservation } from '../reader.js';
import type { Capture, CapturedBar, CapturedFunction, CapturedHostBridge, CapturedResource } from './model.js';
import { windowNames } from './model.js';

/** A capture as something that was read, to be put together with what other files say. */
export function observeCapture(capture: Capture, file: string): Observation[] {
  const seen = observe(capture, file);
  const { ioports } = capture;
  return ioports.length > 0 ? [seen, { ...emptyObservation, kind: 'ioports', file, boot: 0, map: ioports }] : [seen];
}

function observe(capture: Capture, file: string): Observation {
  const source = { file, line: 0 };
  const { host, hostBridges, iommuGroups, functions, iomem } = capture;
  return {
    ...emptyObservation,
    kind: 'capture',
    file,
    boot: 0,
    functions: functions.map((fn) => observeFunction(fn, file)),
    hostWindows: hostBridges.flatMap((bridge) => windowsOf(bridge, file)),
    busWindows: hostBridges.flatMap(({ segment, bus, windows = [] }) =>
      windows.flatMap(({ type, address, size, base }) =>
        base === undefined ? [{ segment, bus, space: type === 'io' ? 'io' : 'memory', address, size, source }] : [],
      ),
    ),
    rootBuses: hostBridges.map(({ segment, bus, lastBus, numaNode }) => ({
      segment,
      bus,
      ...(lastBus === undefined ? {} : { lastBus }),
      ...(numaNode === undefined ? {} : { numaNode }),
      source,
    })),
    groups: iommuGroups.map(({ group, reserved }) => ({ number: group, reserved, source })),
    host: { ...host, source },
    ...(iomem.length > 0 ? { map: iomem } : {}),
  };
}

const windowsOf = ({ segment, bus, windows = [] }: CapturedHostBridge, file: string): SeenHostWindow[] =>
  windows.flatMap(({ type, address, size, base, cpuBase }) =>
    base === undefined
      ? []
      : [
          {
            segment,
            bus,
            space: type === 'io' ? 'io' : 'memory',
            address,
            size,
            busBase: base,
            ...(cpuBase === undefined ? {} : { cpuBase }),
            source: { file, line: 0 },
          },
        ],
  );

const capabilityKeys = [
  'portType',
  'hotplug',
  'ariForwarding',
  'sriov',
  'resizable',
  'vfResizable',
  'acs',
  'fixed',
  'serial',
] as const satisfies readonly (keyof CapabilityFacts)[];

function observeFunction(fn: CapturedFunction, file: string): FunctionDraft {
  const source = { file, line: 0 };
  const { bars, rom, vfBars, windows, buses, ...rest } = fn;
  const capabilities: Draft<CapabilityFacts> = {};
  for (const key of capabilityKeys) if (fn[key] !== undefined) Object.assign(capabilities, { [key]: fn[key] });
  const resources: SeenResource[] = [
    ...bars.flatMap((bar) => observeBar(bar.index ?? null, bar, file)),
    ...(rom ? observeBar('rom', { type: 'mem32', ...rom }, file) : []),
    ...vfBars.flatMap(({ index, groupSize, size, ...bar }) => {
      const whole = groupSize ?? (size === undefined || !fn.sriov ? undefined : size * BigInt(fn.sriov.totalVfs));
      return observeBar(`vf${index}`, { ...bar, ...(whole === undefined ? {} : { size: whole }) }, file);
    }),
  ];
  for (const name of windowNames) {
    const window = windows?.[name];
    if (window === undefined) continue;
    const one = (numbers: SeenResource['numbers'], range: AddressRange | undefined): SeenResource => ({
      name,
      space: name === 'io' ? 'io' : 'memory',
      ...(range ? { size: range.size } : {}),
      placement: range ? { state: 'assigned', address: range.base } : { state: 'closed' },
      numbers,
      source,
    });
    if (window === null) resources.push(one('kernel', undefined));
    else {
      if (window.range) resources.push(one('kernel', window.range));
      if (window.busRange) resources.push(one('bus', window.busRange));
    }
  }
  return {
    ...rest,
    source,
    capabilities,
    resources,
    ...(buses ? { isBridge: true, buses: { ...buses, source } } : {}),
  };
}

/** The system's number and the register's are two facts. */
function observeBar(
  name: ResourceName | null,
  bar: Omit<CapturedBar, 'index'> & CapturedResource,
  file: string,
): SeenResource[] {
  const { type, prefetchable, size, state, address, busAddress } = bar;
  const common = {
    name,
    space: type === 'io' ? 'io' : 'memory',
    ...(type === 'mem32' || type === 'mem64' ? { wide: type === 'mem64' } : {}),
    ...(prefetchable === undefined ? {} : { prefetchable }),
    ...(size === undefined ? {} : { size }),
    source: { file, line: 0 },
  } as const;
  const placed = (at: bigint, decoded: Placement['state']): Placement =>
    decoded === 'decode-off' || decoded === 'os-only'
      ? { state: decoded, address: at }
      : { state: 'assigned', address: at };
  const none: Placement = { state: 'unassigned', why: 'listed-so' };
  const facts: SeenResource[] = [];
  if (address !== undefined) facts.push({ ...common, placement: placed(address, state), numbers: 'kernel' });
  else if (state === 'unassigned' || busAddress === undefined)
    facts.push({ ...common, placement: none, numbers: 'kernel' });
  if (busAddress !== undefined) {
    const own = state === 'decode-off' ? 'decode-off' : 'assigned';
    facts.push({ ...common, placement: placed(busAddress, own), numbers: 'bus' });
  }
  return facts;
}
