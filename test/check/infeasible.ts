import { AddressRange } from '../../src/address/range.js';
import type { Bridge, HostBridge, HostWindow, Machine, MachineFunction } from '../../src/machine/model.js';
import { eachFunction } from '../../src/machine/model.js';
import { validMachine } from './layouts.js';
import { Random } from './random.js';

/*
 * Machines of unknown status with something of everything: one that has a plan, and then one to three things of it changed
 * for the worse. About half of them have no plan.
 */

const MiB = 0x10_0000n;

export function spoiltMachine(seed: number): Machine {
  const random = new Random(seed);
  const pins = random.pick([0, 0.1, 0.3, 0.6]);
  const options = { functions: random.int(1, 9), tight: random.chance(0.5), busPins: random.chance(0.3), pins };
  let machine = validMachine({ seed, hosts: random.chance(0.2) ? 2 : 1, ...options });
  for (let left = random.int(1, 3); left > 0; left--) machine = spoilt(machine, random);
  return machine;
}

function spoilt(machine: Machine, random: Random): Machine {
  const host = random.int(0, machine.hostBridges.length - 1);
  const windows = machine.hostBridges[host]!.windows;
  const w = random.int(0, Math.max(0, windows.length - 1));
  const window = windows[w];
  const onHost = (change: (one: HostBridge) => HostBridge): Machine => ({
    ...machine,
    hostBridges: machine.hostBridges.map((one, i) => (i === host ? change(one) : one)),
  });
  const onWindow = (changed: HostWindow) =>
    onHost((one) => ({ ...one, windows: one.windows.map((own, i) => (i === w ? changed : own)) }));
  const inWindow = ({ base, size }: HostWindow, step: bigint) => {
    const steps = size / step;
    return (base / step + BigInt(Math.floor(random.unit() * Number(steps + 1n)))) * step;
  };
  const all = machine.hostBridges.flatMap(({ functions }) => [...eachFunction(functions)].map(({ fn }) => fn));
  const fn = random.pick(all);
  const { bridge } = fn;
  const onFunction = (change: (one: MachineFunction) => MachineFunction): Machine => changed(machine, fn.id, change);
  const onBridge = (change: Partial<Bridge>) =>
    onFunction((one) => (one.bridge ? { ...one, bridge: { ...one.bridge, ...change } } : one));
  switch (random.int(0, 14)) {
    case 0:
      return window && window.size > 1n ? onWindow({ ...window, size: window.size / 2n }) : machine;
    case 1:
      return window && window.size > 2n * MiB ? onWindow({ ...window, size: window.size - MiB }) : machine;
    case 2: {
      const bar = fn.bars[random.int(0, Math.max(0, fn.bars.length - 1))];
      if (!bar || !window) return machine;
      const pin = inWindow(window, random.chance(0.8) ? bar.size : 16n);
      return onFunction((one) => ({
        ...one,
        bars: one.bars.map((own) => (own.index === bar.index ? { ...own, pin } : own)),
      }));
    }
    case 3:
      return { ...machine, physicalAddressBits: random.int(32, 40) };
    case 4:
      return onHost((one) => ({
        ...one,
        buses: [one.buses[0], Math.max(one.buses[0], Math.min(one.buses[1], random.int(0, 6)))],
      }));
    case 5:
      return onBridge({ io: random.pick([0, 16] as const) });
    case 6:
      return onBridge({ prefetchable: random.pick([0, 32] as const) });
    case 7: {
      if (!bridge) return machine;
      const kind = random.pick(['buses', 'io', 'memory', 'prefetchable'] as const);
      const room =
        kind === 'buses'
          ? random.int(1, 5)
          : kind === 'io'
            ? BigInt(random.int(1, 9000))
            : MiB * BigInt(random.int(1, 99)) + 5n;
      return onBridge({ reserve: { ...bridge.reserve, [kind]: room } });
    }
    case 8: {
      const bar = fn.bars[0];
      if (!bar) return machine;
      const size = bar.size << BigInt(random.int(1, bar.type === 'io' ? 5 : 8));
      return onFunction((one) => {
        const grown = { ...bar, size: bar.type !== 'mem64' && size > 1n << 31n ? 1n << 31n : size };
        delete (grown as { pin?: bigint }).pin;
        return { ...one, bars: [grown, ...one.bars.slice(1)] };
      });
    }
    case 9:
    case 10: {
      if (!window || window.type === 'io') return machine;
      const base = inWindow(window, random.pick([4096n, MiB]));
      const range = AddressRange.sized(base, window.size / BigInt(random.int(2, 40)) + 1n);
      return random.chance(0.5)
        ? { ...machine, reserved: [...machine.reserved, { range, reason: `reserved ${random.int(0, 99)}` }] }
        : machine.ram.some((one) => one.overlaps(range))
          ? machine
          : { ...machine, ram: [...machine.ram, range] };
    }
    case 11:
      return bridge
        ? onBridge({ pin: { ...bridge.pin, [random.pick(['secondary', 'subordinate'])]: random.int(1, 8) } })
        : machine;
    case 12: {
      if (!bridge || !window) return machine;
      const kind = window.type === 'io' ? 'io' : random.pick(['memory', 'prefetchable'] as const);
      const step = kind === 'io' ? 4096n : MiB;
      const base = inWindow(window, random.chance(0.95) ? step : 512n);
      return onBridge({ pin: { ...bridge.pin, [kind]: AddressRange.sized(base, step * BigInt(random.int(1, 32))) } });
    }
    case 13:
      return fn.rom && window
        ? onFunction((one) => ({ ...one, rom: { size: one.rom!.size, pin: inWindow(window, one.rom!.size) } }))
        : machine;
    default:
      return fn.sriov
        ? onFunction((one) => ({ ...one, sriov: { ...one.sriov!, totalVfs: one.sriov!.totalVfs * random.int(2, 60) } }))
        : machine;
  }
}

function changed(machine: Machine, id: string, change: (fn: MachineFunction) => MachineFunction): Machine {
  const walk = (list: readonly MachineFunction[]): MachineFunction[] =>
    list.map((fn) => {
      const below = fn.bridge ? { ...fn, bridge: { ...fn.bridge, functions: walk(fn.bridge.functions) } } : fn;
      return fn.id === id ? change(below) : below;
    });
  return {
    ...machine,
    hostBridges: machine.hostBridges.map((host) => ({ ...host, functions: walk(host.functions) })),
  };
}
