import { ADDRESS_SPACE, FOUR_GIB } from '../address/kinds.js';
import { maxOf, minOf } from '../address/align.js';
import type { Bridge, HostBridge, HostWindow, Machine, MachineFunction } from '../machine/model.js';
import type { Claim, Field } from './claims.js';

/** What the machine is like, whatever is asked of it. Lifting one shows whether a conflict is due to it. */
export type Background =
  | { readonly kind: 'window'; readonly host: HostBridge; readonly window: HostWindow }
  | { readonly kind: 'bridge'; readonly fn: MachineFunction }
  | { readonly kind: 'bus-range'; readonly host: HostBridge }
  | { readonly kind: 'address-bits'; readonly bits: number };

/** What could have to do with a conflict among `claims`. */
export function backgroundOf(machine: Machine, field: Field, claims: readonly Claim[]): Background[] {
  const hosts = new Set(claims.flatMap((claim) => (claim.kind === 'reserved' ? [] : [claim.host])));
  const involved = machine.hostBridges.filter((_, i) => hosts.has(i));
  if (field === 'buses') return involved.map((host) => ({ kind: 'bus-range', host }));
  const windows = involved.flatMap((host) =>
    host.windows
      .filter((window) => (window.type === 'io') === (field === 'io'))
      .map((window): Background => ({ kind: 'window', host, window })),
  );
  const named = new Set(claims.flatMap((claim) => (claim.kind === 'reserved' ? [] : [claim.fn])));
  const bridges = involved.flatMap((host) => around(host.functions, named));
  const bits = machine.physicalAddressBits;
  return [
    ...windows,
    ...bridges.map((fn): Background => ({ kind: 'bridge', fn })),
    ...(field === 'memory' && bits !== undefined ? [{ kind: 'address-bits', bits } as const] : []),
  ];
}

/** The bridges that are `named`, or have one of `named` below them. */
function around(functions: readonly MachineFunction[], named: ReadonlySet<MachineFunction>): MachineFunction[] {
  const holds = (fn: MachineFunction): boolean => named.has(fn) || (fn.bridge?.functions.some(holds) ?? false);
  return functions.flatMap((fn) => (fn.bridge && holds(fn) ? [fn, ...around(fn.bridge.functions, named)] : []));
}

/** The machine without the limit that `background` sets. Functions are known by id: `machine` may be a restricted one. */
export function lift(machine: Machine, background: Background): Machine {
  switch (background.kind) {
    case 'address-bits':
      return { ...machine, physicalAddressBits: undefined };
    case 'bus-range':
      return onHost(machine, background.host, (host) => ({ ...host, buses: [host.buses[0], 0xff] }));
    case 'window':
      return onHost(machine, background.host, (host) => ({
        ...host,
        windows: host.windows.map((window) => (window === background.window ? endless(window) : window)),
      }));
    case 'bridge': {
      const open = (functions: readonly MachineFunction[]): MachineFunction[] =>
        functions.flatMap((fn) => {
          if (!fn.bridge) return [fn];
          const below = open(fn.bridge.functions);
          return fn.id === background.fn.id
            ? lifted(fn, fn.bridge, below)
            : [{ ...fn, bridge: { ...fn.bridge, functions: below } }];
        });
      const hostBridges = machine.hostBridges.map((host) => ({ ...host, functions: open(host.functions) }));
      return { ...machine, hostBridges };
    }
    default:
      return background satisfies never;
  }
}

/** A bridge thought away; one that is asked for a window of its own has to stay, and decodes all that there is. */
function lifted(fn: MachineFunction, bridge: Bridge, below: MachineFunction[]): MachineFunction[] {
  const { pin, reserve } = bridge;
  const asked =
    [pin.io, pin.memory, pin.prefetchable].some(Boolean) || reserve.io + reserve.memory + reserve.prefetchable > 0n;
  if (asked) return [{ ...fn, bridge: { ...bridge, io: 32, prefetchable: 64, functions: below } }];
  const { id, slot, bars, rom, sriov } = fn;
  return [{ id, slot, bars, ...(rom ? { rom } : {}), ...(sriov ? { sriov } : {}) }, ...below];
}

const onHost = (machine: Machine, which: HostBridge, change: (host: HostBridge) => HostBridge): Machine => ({
  ...machine,
  hostBridges: machine.hostBridges.map((host) => (host.id === which.id ? change(host) : host)),
});

/** The window with the same translation, over all that its type can address. */
function endless(window: HostWindow): HostWindow {
  const shift = window.cpuBase - window.base;
  const base = maxOf(0n, -shift);
  const end = minOf(window.type === 'mem64' ? ADDRESS_SPACE : FOUR_GIB, ADDRESS_SPACE - shift);
  return { type: window.type, base, size: end - base, cpuBase: base + shift };
}
