import type { HostBridge, Machine, MachineFunction } from '../../src/machine/model.js';
import { place } from '../../src/place/place.js';
import type { Conflict, Constraint } from '../../src/place/plan.js';
import { checkPlan } from './check-plan.js';

/*
 * What a conflict claims, taken at its word: the machine with nothing in it but what the constraints name, and the same with
 * one of them left out.
 */

/** What is wrong with a conflict: it has a plan, or has none without one of its constraints. Each plan is checked. */
export function faultsOf(machine: Machine, { constraints, minimal }: Conflict): string[] {
  const faults: string[] = [];
  if (minimal === false) faults.push('it is not shown to be minimal');
  const named = place(machineOf(machine, constraints), { remedies: false });
  if (named.status !== 'infeasible') faults.push(`what it names is ${named.status}`);
  for (const left of constraints) {
    // Without a pin there may be nothing, or the same without a pin.
    for (const floats of [false, true]) {
      const rest = without(machine, constraints, left, floats);
      const plan = place(rest, { remedies: false });
      const name = `without ${left.kind} ${left.id ?? ''} ${left.bar ?? ''}${floats ? ', there anyway,' : ''}`;
      if (plan.status === 'placed') {
        // What the checker says of such a machine depends on which window it looks at first.
        if (!isAmbiguous(rest)) faults.push(...checkPlan(rest, plan).map((fault) => `${name}: ${fault}`));
      } else faults.push(`${name} it is ${plan.status}`);
    }
  }
  return faults;
}

/** A window without limits may lie over another one that the CPU sees elsewhere: a bus address has two CPU addresses then. */
const isAmbiguous = ({ hostBridges }: Machine): boolean =>
  hostBridges.some(({ windows }) =>
    windows.some((a, i) =>
      windows
        .slice(0, i)
        .some(
          (b) =>
            (a.type === 'io') === (b.type === 'io') &&
            a.base < b.base + b.size &&
            b.base < a.base + a.size &&
            a.cpuBase - a.base !== b.cpuBase - b.base,
        ),
    ),
  );

/** The machine of `constraints`. What a pin names is there without the pin, too, where `floats` says so. */
export function machineOf(
  machine: Machine,
  constraints: readonly Constraint[],
  floats: readonly Constraint[] = [],
): Machine {
  const kept = new Map<string, boolean>();
  const whole = new Set<string>();
  for (const { kind, id, bar } of floats) if (kind === 'pin') kept.set(`${id}/${bar}`, false);
  for (const { kind, id, bar } of constraints) {
    if (kind === 'size' && bar === undefined) whole.add(id!);
    else if (kind === 'pin' || kind === 'size') kept.set(`${id}/${bar}`, kind === 'pin');
  }
  const reserved = new Set(
    constraints.flatMap(({ kind, base }) => (kind === 'reserved' && base !== undefined ? [base] : [])),
  );
  const functions = (list: readonly MachineFunction[], all: boolean): MachineFunction[] =>
    list.flatMap((fn) => {
      const every = all || whole.has(fn.id);
      if (every) return [fn];
      const pinned = (bar: string | number) => kept.get(`${fn.id}/${bar}`);
      const keep = <T extends { pin?: bigint }>(bar: string | number, from: T): T[] => {
        const as = pinned(bar);
        if (as === undefined) return [];
        const copy = { ...from };
        if (!as) delete copy.pin;
        return [copy];
      };
      const below = fn.bridge ? functions(fn.bridge.functions, false) : [];
      const { id, slot, sriov, bridge } = fn;
      const bars = fn.bars.flatMap((bar) => keep(bar.index, bar));
      const rom = fn.rom ? keep('rom', fn.rom)[0] : undefined;
      const vfBars = sriov?.bars.flatMap((bar) => keep(`vf${bar.index}`, bar)) ?? [];
      const pins = (['io', 'memory', 'prefetchable', 'secondary', 'subordinate'] as const).filter(
        (kind) => pinned(kind) === true,
      );
      const used = below.length > 0 || pins.length > 0 || pinned('reserve') !== undefined;
      if (bars.length === 0 && !rom && vfBars.length === 0 && !used) return [];
      return [
        {
          id,
          slot,
          bars,
          ...(rom ? { rom } : {}),
          ...(sriov && vfBars.length > 0 ? { sriov: { ...sriov, bars: vfBars } } : {}),
          ...(bridge
            ? {
                bridge: {
                  ...bridge,
                  reserve:
                    pinned('reserve') === undefined
                      ? { buses: 0, io: 0n, memory: 0n, prefetchable: 0n }
                      : bridge.reserve,
                  pin: Object.fromEntries(pins.map((kind) => [kind, bridge.pin[kind]])),
                  functions: below,
                },
              }
            : {}),
        },
      ];
    });
  return {
    ...machine,
    reserved: machine.reserved.filter(({ range }) => reserved.has(range.base)),
    ram: machine.ram.filter((range) => reserved.has(range.base)),
    hostBridges: machine.hostBridges.map((host): HostBridge => ({
      ...host,
      functions: functions(host.functions, false),
    })),
  };
}

/** The machine of `constraints` without one of them; a window, bridge, bus range or address bits that are left out set no limit. */
export function without(
  machine: Machine,
  constraints: readonly Constraint[],
  left: Constraint,
  floats: boolean,
): Machine {
  const rest = machineOf(
    machine,
    constraints.filter((one) => one !== left),
    floats ? [left] : [],
  );
  switch (left.kind) {
    case 'window':
      return {
        ...rest,
        hostBridges: rest.hostBridges.map((host) => ({
          ...host,
          windows: host.windows.map((window) =>
            host.id === left.id && window.type === left.type && window.base === left.base
              ? { type: window.type, base: 0n, size: 1n << (window.type === 'mem64' ? 64n : 32n), cpuBase: 0n }
              : window,
          ),
        })),
      };
    case 'bridge': {
      const open = (list: readonly MachineFunction[]): MachineFunction[] =>
        list.flatMap((fn) => {
          if (!fn.bridge) return [fn];
          const below = open(fn.bridge.functions);
          if (fn.id !== left.id) return [{ ...fn, bridge: { ...fn.bridge, functions: below } }];
          const { id, slot, bars, rom, sriov } = fn;
          return inFreeSlots(
            [{ id, slot, bars, ...(rom ? { rom } : {}), ...(sriov ? { sriov } : {}) }, ...below],
            list,
          );
        });
      return { ...rest, hostBridges: rest.hostBridges.map((host) => ({ ...host, functions: open(host.functions) })) };
    }
    case 'bus-range':
      return {
        ...rest,
        hostBridges: rest.hostBridges.map((host) =>
          host.id === left.id ? { ...host, buses: [host.buses[0], 255] } : host,
        ),
      };
    case 'address-bits':
      return { ...rest, physicalAddressBits: undefined };
    case 'pin':
    case 'size':
    case 'reserved':
      return rest;
  }
}

/** What comes to a bus that holds `others`, without two functions in one slot. */
function inFreeSlots(come: readonly MachineFunction[], others: readonly MachineFunction[]): MachineFunction[] {
  const [first] = come;
  const taken = new Set(others.filter(({ id }) => id !== first?.id).map(({ slot }) => slot.device * 8 + slot.fn));
  return come.map((fn) => {
    let at = fn.slot.device * 8 + fn.slot.fn;
    while (taken.has(at)) at = (at + 1) % 256;
    taken.add(at);
    return { ...fn, slot: { device: at >> 3, fn: at & 7 } };
  });
}
