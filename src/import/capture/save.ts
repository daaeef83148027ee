import { hex } from '../../address/format.js';
import type { AddressRange } from '../../address/range.js';
import { formatBdf } from '../../pci/bdf.js';
import type { FixedRange, ResizableFacts } from '../function-facts.js';
import type { SeenMapLine } from '../host-facts.js';
import { configToLines } from './config-text.js';
import { formatJson } from './json-text.js';
import type {
  Capture,
  CapturedBar,
  CapturedFunction,
  CapturedGroup,
  CapturedHostBridge,
  CapturedHostWindow,
  CapturedResource,
  CapturedVfBar,
  CapturedWindow,
  CapturedWindows,
} from './model.js';
import { windowNames } from './model.js';
import type { CaptureJson, FunctionJson } from './schema.js';

/** The text of a capture: JSON, laid out so that people can read it; the same bytes for the same capture. */
export const captureText = (capture: Capture): string => formatJson(captureToJson(capture));

/** A capture as plain JSON: addresses, sizes and ids as lower-case `0x` strings; what is not known is absent. */
export function captureToJson(capture: Capture): CaptureJson {
  const { iommus, ...host } = capture.host;
  const { sources, hostBridges, iommuGroups, functions, iomem, ioports, missing, conflicts } = capture;
  return {
    'pinbar-capture': 1,
    sources: sources.map(({ name, kind }) => ({ name, kind })),
    host: { ...host, ...(iommus ? { iommus: iommus.map((iommu) => ({ ...iommu })) } : {}) },
    hostBridges: hostBridges.map(hostBridgeToJson),
    ...(iommuGroups.length > 0 ? { iommuGroups: iommuGroups.map(groupToJson) } : {}),
    functions: functions.map(functionToJson),
    ...(iomem.length > 0 ? { iomem: iomem.map(mapLineText) } : {}),
    ...(ioports.length > 0 ? { ioports: ioports.map(mapLineText) } : {}),
    ...(missing.length > 0 ? { missing: missing.map((one) => ({ ...one })) } : {}),
    ...(conflicts.length > 0
      ? {
          conflicts: conflicts.map(({ address, what, values }) => ({
            ...(address ? { address: formatBdf(address) } : {}),
            what,
            values: values.map((value) => ({ ...value })),
          })),
        }
      : {}),
  };
}

const hostBridgeToJson = ({ windows, ...rest }: CapturedHostBridge) => ({
  ...rest,
  ...(windows ? { windows: windows.map(hostWindowToJson) } : {}),
});

const hostWindowToJson = ({ type, address, size, base, cpuBase }: CapturedHostWindow) => ({
  type,
  address: hex(address),
  size: hex(size),
  ...(base === undefined ? {} : { base: hex(base) }),
  ...(cpuBase === undefined ? {} : { cpuBase: hex(cpuBase) }),
});

const groupToJson = ({ group, reserved }: CapturedGroup) => ({
  group,
  ...(reserved.length > 0 ? { reserved: reserved.map(({ range, type }) => ({ ...limits(range), type })) } : {}),
});

const limits = ({ base, limit }: AddressRange) => ({ base: hex(base), limit: hex(limit) });

export const mapLineText = ({ depth, range, name }: SeenMapLine): string => {
  const digits = (value: bigint) => value.toString(16).padStart(8, '0');
  return `${'  '.repeat(depth)}${digits(range.base)}-${digits(range.limit)} : ${name}`;
};

const id = (value: number, digits: number) => hex(value, digits);

function functionToJson(fn: CapturedFunction): FunctionJson {
  const { vendor, device, subsystem, class: code, revision, serial, sriov, parent, physicalFunction } = fn;
  return {
    address: formatBdf(fn.address),
    ...(parent === undefined ? {} : { parent: parent && formatBdf(parent) }),
    ...(vendor === undefined ? {} : { vendor: id(vendor, 4) }),
    ...(device === undefined ? {} : { device: id(device, 4) }),
    ...(subsystem ? { subsystem: { vendor: id(subsystem.vendor, 4), device: id(subsystem.device, 4) } } : {}),
    ...(code === undefined ? {} : { class: id(code, 6) }),
    ...(revision === undefined ? {} : { revision: id(revision, 2) }),
    ...copied(fn, ['title', 'headerType', 'driver', 'numaNode', 'iommuGroup']),
    ...(physicalFunction ? { physicalFunction: formatBdf(physicalFunction) } : {}),
    ...(fn.decodes ? { decodes: (['io', 'memory'] as const).filter((space) => fn.decodes?.[space]) } : {}),
    ...copied(fn, ['portType', 'hotplug', 'ariForwarding']),
    ...(fn.bars.length > 0 ? { bars: fn.bars.map(barToJson) } : {}),
    ...(fn.rom ? { rom: resourceToJson(fn.rom) } : {}),
    ...(fn.buses ? { buses: { ...fn.buses } } : {}),
    ...(fn.windows ? { windows: windowsToJson(fn.windows) } : {}),
    ...(sriov
      ? { sriov: { ...sriov, ...(sriov.vfDevice === undefined ? {} : { vfDevice: id(sriov.vfDevice, 4) }) } }
      : {}),
    ...(fn.vfBars.length > 0 ? { vfBars: fn.vfBars.map(vfBarToJson) } : {}),
    ...(fn.resizable ? { resizable: fn.resizable.map(resizableToJson) } : {}),
    ...(fn.vfResizable ? { vfResizable: fn.vfResizable.map(resizableToJson) } : {}),
    ...(fn.acs ? { acs: { capable: [...fn.acs.capable], enabled: [...fn.acs.enabled] } } : {}),
    ...(fn.fixed ? { fixed: fn.fixed.map(fixedToJson) } : {}),
    ...(serial === undefined ? {} : { serial: hex(serial, 16) }),
    ...(fn.config ? { config: configToLines(fn.config) } : {}),
  } as FunctionJson;
}

const copied = <K extends keyof CapturedFunction>(fn: CapturedFunction, keys: readonly K[]) =>
  Object.fromEntries(keys.filter((key) => fn[key] !== undefined).map((key) => [key, fn[key]]));

const resourceToJson = ({ state, address, busAddress, size }: CapturedResource) => ({
  ...(state === 'assigned' ? {} : { state }),
  ...(address === undefined ? {} : { address: hex(address) }),
  ...(busAddress === undefined ? {} : { busAddress: hex(busAddress) }),
  ...(size === undefined ? {} : { size: hex(size) }),
});

const barToJson = ({ index, type, prefetchable, ...rest }: CapturedBar) => ({
  ...(index === undefined ? {} : { index }),
  type,
  ...(prefetchable === undefined ? {} : { prefetchable }),
  ...resourceToJson(rest),
});

const vfBarToJson = ({ groupSize, ...bar }: CapturedVfBar) => ({
  ...barToJson(bar),
  ...(groupSize === undefined ? {} : { groupSize: hex(groupSize) }),
});

function windowsToJson(windows: CapturedWindows) {
  return Object.fromEntries(
    windowNames.flatMap((name) => {
      const window = windows[name];
      return window === undefined ? [] : [[name, window && windowToJson(window)]];
    }),
  );
}

const windowToJson = ({ range, busRange }: CapturedWindow) => ({
  ...(range ? limits(range) : {}),
  ...(busRange ? { busBase: hex(busRange.base), busLimit: hex(busRange.limit) } : {}),
});

const resizableToJson = ({ index, sizes, size }: ResizableFacts) => ({
  index,
  sizes: sizes.map((one) => hex(one)),
  ...(size === undefined ? {} : { size: hex(size) }),
});

const fixedToJson = ({ what, properties, base, size, enabled }: FixedRange) => ({
  what,
  properties,
  base: hex(base),
  size: hex(size),
  enabled,
});
