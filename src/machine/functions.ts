import { deviceFunction } from '../pci/bdf.js';
import { barsOf, romSize } from './bars.js';
import { defined, rangeOf, type Complain, type Path } from './complain.js';
import { noReserve, type BridgePins, type Hints, type MachineFunction } from './model.js';
import type { FunctionOutput } from './schema.js';

/** What has an id so far: `function`, `host bridge`. */
export type Ids = Map<string, string>;

/** Takes note of an id, and complains where it is taken. */
export function uniqueId(ids: Ids, id: string, path: Path, what: string, complain: Complain) {
  const other = ids.get(id);
  if (other)
    complain(
      [...path, 'id'],
      `${what} ${id} has the same id as another ${other}`,
      'ids name things in plans and pins: make each one different',
    );
  ids.set(id, what);
}

/** The functions of one bus, in slot order, with all that lies behind them. */
export function functionsOf(
  functions: readonly FunctionOutput[],
  path: Path,
  ids: Ids,
  complain: Complain,
): MachineFunction[] {
  const slots = new Map<number, string>();
  return functions
    .map((fn, i): MachineFunction => {
      const here = [...path, i];
      uniqueId(ids, fn.id, here, 'function', complain);
      const taken = slots.get(deviceFunction(fn.slot));
      if (taken !== undefined) complain([...here, 'slot'], `${fn.id} sits in the same slot as ${taken}`);
      slots.set(deviceFunction(fn.slot), fn.id);
      return functionOf(fn, here, ids, complain);
    })
    .sort((a, b) => deviceFunction(a.slot) - deviceFunction(b.slot));
}

function functionOf(fn: FunctionOutput, path: Path, ids: Ids, complain: Complain): MachineFunction {
  const { rom, sriov, bridge } = fn;
  if (rom) romSize(fn.id, rom.size, [...path, 'rom'], complain);
  return {
    id: fn.id,
    slot: fn.slot,
    ...defined({ vendor: fn.vendor, device: fn.device, class: fn.class }),
    ...(fn.hostAddress ? { hostAddress: fn.hostAddress } : {}),
    ...(fn.qemuDevice === undefined ? {} : { qemuDevice: fn.qemuDevice }),
    bars: barsOf(fn.id, fn.bars, bridge ? 2 : 6, [...path, 'bars'], complain),
    ...(rom ? { rom: { size: rom.size, ...defined({ pin: rom.pin }) } } : {}),
    ...(sriov
      ? {
          sriov: {
            totalVfs: sriov.totalVfs,
            firstVfOffset: sriov.firstVfOffset,
            vfStride: sriov.vfStride,
            bars: barsOf(fn.id, sriov.bars, 6, [...path, 'sriov', 'bars'], complain, true),
          },
        }
      : {}),
    ...(bridge
      ? {
          bridge: {
            kind: bridge.kind,
            io: bridge.io,
            prefetchable: bridge.prefetchable,
            hotplug: bridge.hotplug,
            reserve: { ...noReserve, ...exactReserve(bridge.reserve) },
            ...(bridge.hints ? { hints: exactHints(bridge.hints) } : {}),
            pin: bridgePins(bridge.pin, [...path, 'bridge', 'pin'], complain),
            functions: functionsOf(bridge.functions, [...path, 'bridge', 'functions'], ids, complain),
          },
        }
      : {}),
  };
}

const exactReserve = (reserve: {
  buses: number;
  io: bigint | number;
  memory: bigint | number;
  prefetchable: bigint | number;
}) => ({
  buses: reserve.buses,
  io: BigInt(reserve.io),
  memory: BigInt(reserve.memory),
  prefetchable: BigInt(reserve.prefetchable),
});

const exactHints = ({ buses, ...sizes }: NonNullable<NonNullable<FunctionOutput['bridge']>['hints']>): Hints => ({
  ...(buses === undefined ? {} : { buses }),
  ...Object.fromEntries(Object.entries(sizes).flatMap(([key, size]) => (size === undefined ? [] : [[key, size]]))),
});

function bridgePins(
  pin: NonNullable<NonNullable<FunctionOutput['bridge']>['pin']>,
  path: Path,
  complain: Complain,
): BridgePins {
  const ranges = (['io', 'memory', 'prefetchable'] as const).flatMap((key) => {
    const entry = pin[key];
    const range = entry && rangeOf(entry, [...path, key], complain);
    return range ? [[key, range] as const] : [];
  });
  return { ...defined({ secondary: pin.secondary, subordinate: pin.subordinate }), ...Object.fromEntries(ranges) };
}
