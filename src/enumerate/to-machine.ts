import type { AddressRange } from '../address/range.js';
import { Exit, Problem } from '../problem/problem.js';
import {
  noReserve,
  type Bar,
  type Bridge,
  type HostWindow,
  type Machine,
  type MachineFunction,
  type Reserve,
} from '../machine/model.js';
import { formatBdf, formatSlot } from '../pci/bdf.js';
import type { SeenBar, SeenBridge, SeenFunction, Topology } from './topology.js';

/** What config space does not tell: the machine around it. Windows by host bridge id. */
export interface MachineBase extends Omit<
  Machine,
  'hostBridges' | 'reserved' | 'properties' | 'allowNonPrefetchableInPrefetchable'
> {
  readonly reserved?: Machine['reserved'];
  readonly properties?: Machine['properties'];
  readonly allowNonPrefetchableInPrefetchable?: boolean;
  readonly windows: Readonly<Record<string, readonly HostWindow[]>>;
}

export interface ToMachineOptions {
  /** A function's id; undefined or no namer: `pcie.0/1.0/0.0`, the host bridge and the slots on the way. */
  readonly name?: (fn: SeenFunction) => string | undefined;
  /** Keep free what QEMU's bridges ask for in their reservation capability. */
  readonly reserveAsAsked?: boolean;
}

/**
 * The machine that `place` works on, with the functions, sizes and bridges that were found, and no pins.
 * @throws Problem `size-unknown` where a source could not be probed; `name-twice`; `windows-missing`
 */
export function toMachine(topology: Topology, base: MachineBase, options: ToMachineOptions = {}): Machine {
  const { windows, reserved = [], properties = {}, allowNonPrefetchableInPrefetchable = false, ...rest } = base;
  const taken = new Map<string, SeenFunction>();
  const convert = (fn: SeenFunction, path: string): MachineFunction => {
    const own = `${path}/${formatSlot(fn.at)}`;
    const id = options.name?.(fn) ?? own;
    const other = taken.get(id);
    if (other) {
      throw new Problem('name-twice', `${formatBdf(other.at)} and ${formatBdf(fn.at)} are both called ${id}`, {
        facts: { id },
      });
    }
    taken.set(id, fn);
    return convertFunction(fn, id, options, (child) => convert(child, own));
  };
  return {
    ...rest,
    reserved,
    properties,
    allowNonPrefetchableInPrefetchable,
    hostBridges: topology.hosts.map(({ id, segment, buses, functions }) => {
      const own = windows[id];
      if (!own)
        throw new Problem('windows-missing', `the windows of host bridge ${id} are not known`, { facts: { id } });
      return { id, segment, buses, windows: own, functions: functions.map((fn) => convert(fn, id)) };
    }),
  };
}

function convertFunction(
  fn: SeenFunction,
  id: string,
  options: ToMachineOptions,
  child: (fn: SeenFunction) => MachineFunction,
): MachineFunction {
  const { device, fn: number } = fn.at;
  return {
    id,
    slot: { device, fn: number },
    vendor: fn.vendor,
    device: fn.device,
    class: fn.class,
    bars: fn.bars.map((bar) => convertBar(fn, bar, '')),
    ...(fn.rom ? { rom: { size: sizeOf(fn, fn.rom.size, 'the ROM') } } : {}),
    ...(fn.sriov
      ? {
          sriov: {
            totalVfs: fn.sriov.totalVfs,
            firstVfOffset: fn.sriov.firstVfOffset,
            vfStride: fn.sriov.vfStride,
            bars: fn.sriov.bars.map((bar) => convertBar(fn, bar, 'VF ')),
          },
        }
      : {}),
    ...(fn.bridge ? { bridge: convertBridge(fn.bridge, options, child) } : {}),
  };
}

function convertBar(fn: SeenFunction, { index, type, prefetchable, size }: SeenBar, prefix: string): Bar {
  return { index, type, prefetchable, size: sizeOf(fn, size, `${prefix}BAR ${index}`) };
}

function convertBridge(
  bridge: SeenBridge,
  options: ToMachineOptions,
  child: (fn: SeenFunction) => MachineFunction,
): Bridge {
  return {
    kind: bridge.kind,
    io: bridge.io,
    prefetchable: bridge.prefetchable,
    hotplug: bridge.hotplug,
    reserve: options.reserveAsAsked ? asked(bridge) : noReserve,
    pin: {},
    functions: bridge.functions.map(child),
  };
}

/** QEMU's wish for a bridge, for the windows that it has. */
function asked({ reservation, io, prefetchable }: SeenBridge): Reserve {
  if (!reservation) return noReserve;
  const pref = reservation.prefetchable64 ?? reservation.prefetchable32 ?? 0n;
  return {
    buses: reservation.buses ?? 0,
    io: io ? (reservation.io ?? 0n) : 0n,
    memory: reservation.memory ?? 0n,
    prefetchable: prefetchable ? pref : 0n,
  };
}

function sizeOf(fn: SeenFunction, size: bigint | null, what: string): bigint {
  if (size !== null) return size;
  throw new Problem(
    'size-unknown',
    `${formatBdf(fn.at)}: the size of ${what} is not known, because its register could not be written`,
    {
      exit: Exit.badInput,
      hint: 'give the size in a machine file, or take the functions from a machine whose registers can be written',
      facts: { at: formatBdf(fn.at), what },
    },
  );
}

/** One address register as it stood. */
export interface AddressRow {
  readonly at: string;
  /** `bar0`, `rom`, `vf0`, or a bridge window: `io`, `memory`, `prefetchable`. */
  readonly what: string;
  readonly type: 'io' | 'mem32' | 'mem64';
  readonly prefetchable: boolean;
  /** Bytes; null where it is not known. Of a window what it spans. */
  readonly size: bigint | null;
  /** Bus address in the register; null is a closed window. */
  readonly address: bigint | null;
  /** Whether the function decodes it: the Command register's bit, the ROM's enable bit as well. */
  readonly decoding: boolean;
}

/** Every address register of one function: BARs, ROM, VF BARs, then a bridge's windows. */
export function addressRows(fn: SeenFunction): AddressRow[] {
  const at = formatBdf(fn.at);
  const enabled = (type: AddressRow['type']) => (fn.command & (type === 'io' ? 1 : 2)) !== 0;
  const row = (what: string, { type, prefetchable, size, address }: Omit<SeenBar, 'index'>) => ({
    at,
    what,
    type,
    prefetchable,
    size,
    address,
    decoding: enabled(type),
  });
  const rows: AddressRow[] = fn.bars.map((bar) => row(`bar${bar.index}`, bar));
  if (fn.rom) {
    const decoding = fn.rom.enabled && enabled('mem32');
    rows.push({ ...row('rom', { type: 'mem32', prefetchable: false, ...fn.rom }), decoding });
  }
  for (const bar of fn.sriov?.bars ?? []) rows.push({ ...row(`vf${bar.index}`, bar), decoding: false });
  if (fn.bridge) {
    const { windows, io, prefetchable } = fn.bridge;
    const window = (what: string, type: AddressRow['type'], range: AddressRange | null) =>
      rows.push({
        ...row(what, { type, prefetchable: what === 'prefetchable', size: range?.size ?? null, address: 0n }),
        address: range?.base ?? null,
      });
    if (io) window('io', 'io', windows.io);
    window('memory', 'mem32', windows.memory);
    if (prefetchable) window('prefetchable', prefetchable === 64 ? 'mem64' : 'mem32', windows.prefetchable);
  }
  return rows;
}
