import { describe, expect, it } from 'vitest';
import { AddressRange } from '../../src/address/range.js';
import { machineFrom } from '../../src/machine/load.js';
import type { Plan, PlannedBridge, PlannedFunction } from '../../src/place/plan.js';
import { place } from '../../src/place/place.js';
import { checkPlan } from '../check/check-plan.js';

/** A machine with something of everything. */
const machine = machineFrom(
  {
    pinbar: 1,
    machine: { arch: 'aarch64', ram: [{ base: '0x40000000', size: '1GiB' }], physicalAddressBits: 44 },
    reserved: [{ base: '0x20000000', size: '1MiB', reason: 'doorbell' }],
    hostBridges: [
      {
        id: 'pcie.0',
        buses: [0, 31],
        windows: [
          { type: 'io', base: 0, size: '64KiB', cpuBase: '0x3eff0000' },
          { type: 'mem32', base: '0x10000000', size: '0x20000000' },
          { type: 'mem64', base: '0x8000000000', size: '512GiB' },
        ],
        functions: [
          {
            id: 'rp1',
            slot: '1.0',
            bars: [{ index: 0, type: 'mem32', size: '4KiB' }],
            bridge: {
              kind: 'root-port',
              io: 32,
              reserve: { buses: 2, memory: '2MiB' },
              pin: { secondary: 4, prefetchable: { base: '0x8000000000', size: '4GiB' } },
              functions: [
                {
                  id: 'dev',
                  slot: '0.0',
                  bars: [
                    { index: 0, type: 'mem32', size: '16MiB' },
                    { index: 1, type: 'io', size: 32 },
                    { index: 2, type: 'mem64', prefetchable: true, size: '1GiB', pin: '0x8040000000' },
                    { index: 4, type: 'mem64', size: '1MiB' },
                  ],
                  rom: { size: '64KiB', pin: '0x11200000' },
                  sriov: {
                    totalVfs: 4,
                    firstVfOffset: 256,
                    vfStride: 1,
                    bars: [{ index: 0, type: 'mem64', prefetchable: true, size: '1MiB', pin: '0x8000100000' }],
                  },
                },
                {
                  id: 'sw',
                  slot: '1.0',
                  bridge: {
                    kind: 'upstream-port',
                    io: 0,
                    prefetchable: 32,
                    functions: [{ id: 'leaf', slot: '0.0', bars: [{ index: 0, type: 'mem32', size: '1MiB' }] }],
                  },
                },
              ],
            },
          },
          {
            id: 'rp2',
            slot: '2.0',
            bridge: {
              kind: 'root-port',
              functions: [
                { id: 'nic', slot: '0.0', bars: [{ index: 0, type: 'mem64', prefetchable: true, size: '1MiB' }] },
              ],
            },
          },
        ],
      },
      {
        id: 'pcie.1',
        buses: [32, 40],
        windows: [{ type: 'mem32', base: '0x90000000', size: '0x10000000', cpuBase: '0x90000000' }],
        functions: [{ id: 'far', slot: '0.0', bars: [{ index: 0, type: 'mem32', size: '1MiB' }] }],
      },
    ],
  },
  'test',
);

const solved = place(machine);
if (solved.status !== 'placed') throw new Error('the machine of this test has a plan');
const plan: Plan = solved;

const onFunction = (id: string, change: (fn: PlannedFunction) => PlannedFunction): Plan => ({
  ...plan,
  functions: plan.functions.map((fn) => (fn.id === id ? change(fn) : fn)),
});
const onBridge = (id: string, change: Partial<PlannedBridge>): Plan => ({
  ...plan,
  bridges: plan.bridges.map((bridge) => (bridge.id === id ? { ...bridge, ...change } : bridge)),
});
const onBar = (id: string, index: number, change: object): Plan =>
  onFunction(id, (fn) => ({ ...fn, bars: fn.bars.map((bar) => (bar.index === index ? { ...bar, ...change } : bar)) }));
const at = (id: string, index: number) =>
  plan.functions.find((fn) => fn.id === id)!.bars.find((bar) => bar.index === index)!.address;
const bridge = (id: string) => plan.bridges.find((one) => one.id === id)!;
const onVf = (change: object): Plan =>
  onFunction('dev', (fn) => ({ ...fn, sriov: { bars: fn.sriov!.bars.map((bar) => ({ ...bar, ...change })) } }));
const onBus = (id: string, bus: number): Plan => onFunction(id, (fn) => ({ ...fn, address: { ...fn.address, bus } }));
const grown = (range: AddressRange | null, low: bigint, high: bigint) =>
  AddressRange.of(range!.base - low, range!.limit + high);

describe('the checker', () => {
  it('finds nothing wrong with a valid plan', () => expect(checkPlan(machine, plan)).toEqual([]));

  const mutants: [string, Plan, RegExp][] = [
    ['a BAR that is not aligned', onBar('far', 0, { address: at('far', 0) + 0x80000n }), /not aligned/],
    ['a BAR of another size', onBar('far', 0, { size: 0x200000n }), /not the machine's BAR/],
    ['a BAR of another type', onBar('far', 0, { type: 'mem64' }), /not the machine's BAR/],
    ['a pinned BAR elsewhere', onBar('dev', 2, { address: 0x8080000000n }), /pinned to 0x8040000000/],
    ['a pin that is not said', onBar('dev', 2, { pinned: false }), /pinned or not/],
    ['a missing BAR', onFunction('far', (fn) => ({ ...fn, bars: [] })), /wrong number of BARs/],
    ['a missing function', { ...plan, functions: plan.functions.filter(({ id }) => id !== 'far') }, /far is missing/],
    ['a function twice', { ...plan, functions: [...plan.functions, plan.functions[0]!] }, /twice/],
    ['a missing bridge', { ...plan, bridges: plan.bridges.filter(({ id }) => id !== 'sw') }, /bridge or not/],
    ['functions out of order', { ...plan, functions: plan.functions.toReversed() }, /order/],
    [
      'a ROM elsewhere',
      onFunction('dev', (fn) => ({ ...fn, rom: { ...fn.rom!, address: 0x11300000n } })),
      /ROM: not where it is pinned/,
    ],
    [
      'a ROM that is not aligned',
      onFunction('dev', (fn) => ({ ...fn, rom: { ...fn.rom!, address: 0x11208000n } })),
      /ROM: 0x11208000 is not aligned/,
    ],
    ['a VF group elsewhere', onVf({ address: 0x8000200000n }), /VF BAR 0: pinned/],
    ['a VF group that is not aligned', onVf({ address: 0x8000180000n }), /VF BAR 0: 0x8000180000 is not aligned/],
    ['a VF group of fewer VFs', onVf({ count: 3 }), /3 VFs/],
    ['two BARs of siblings on one address', onBar('rp1', 0, { address: bridge('rp1').memory!.base }), /overlap/],
    ['a BAR outside its bridge', onBar('dev', 4, { address: 0x18000000n }), /no fitting window of rp1/],
    [
      'a non-prefetchable BAR in a prefetchable window',
      onBar('dev', 4, { address: 0x8000600000n }),
      /no fitting window of rp1/,
    ],
    ['a BAR outside every window', onBar('far', 0, { address: 0xa0000000n }), /no fitting window of pcie\.1/],
    ['a BAR in the other host bridge', onBar('far', 0, { address: 0x1f000000n }), /no fitting window of pcie\.1/],
    ['a 32-bit BAR above 4 GiB', onBar('rp1', 0, { address: 0x8100000000n }), /32 bits/],
    ['a BAR on a reserved range', onBar('rp1', 0, { address: 0x20000000n }), /doorbell/],
    [
      'a window on a reserved range',
      onBridge('rp1', { memory: AddressRange.of(0x11000000n, 0x200fffffn) }),
      /doorbell/,
    ],
    [
      'a window not in whole steps',
      onBridge('rp1', { memory: grown(bridge('rp1').memory, 0n, 0x80000n) }),
      /not in steps/,
    ],
    [
      'a pinned window that grew',
      onBridge('rp1', { prefetchable: grown(bridge('rp1').prefetchable, 0n, 0x100000n) }),
      /not where it is pinned/,
    ],
    [
      'a window outside the parent',
      onBridge('sw', { memory: AddressRange.sized(0x1f000000n, 0x100000n) }),
      /no fitting window of rp1/,
    ],
    ['a closed window with contents', onBridge('sw', { memory: null }), /no fitting window of sw/],
    [
      'a window open for nothing',
      onBridge('rp2', { memory: AddressRange.sized(0x28000000n, 0x100000n) }),
      /open for nothing/,
    ],
    [
      'a window that the bridge has not',
      onBridge('sw', { io: AddressRange.sized(0n, 0x1000n) }),
      /the bridge has none/,
    ],
    [
      'sibling windows that overlap',
      onBridge('rp2', { prefetchable: grown(bridge('rp2').prefetchable, 0x100000n, 0n) }),
      /overlap/,
    ],
    [
      'a 32-bit window above 4 GiB',
      onBridge('sw', { prefetchable: AddressRange.sized(0x8000600000n, 0x100000n) }),
      /decodes 32 bits/,
    ],
    [
      'no room for hotplug',
      onBridge('rp1', { memory: AddressRange.of(bridge('rp1').memory!.base, bridge('rp1').memory!.limit - 0x100000n) }),
      /reserved|no fitting/,
    ],
    ['a pinned bus number elsewhere', onBridge('rp1', { secondary: 3 }), /secondary is not 4/],
    ['a subordinate number too low', onBridge('rp1', { subordinate: 5 }), /not behind rp1/],
    ['no bus numbers for hotplug', onBridge('rp1', { subordinate: bridge('rp1').subordinate - 1 }), /reserved/],
    ['bus ranges that overlap', onBridge('rp1', { subordinate: bridge('rp2').secondary }), /taken by/],
    ['a bridge on a bus of VFs', onBridge('sw', { secondary: 5 }), /taken by/],
    ['another primary bus', onBridge('rp2', { primary: 1 }), /primary bus 1/],
    ['a function on another bus', onBus('far', 33), /not on bus 32/],
    [
      'a function in another slot',
      onFunction('far', (fn) => ({ ...fn, address: { ...fn.address, device: 3 } })),
      /not in its slot/,
    ],
    [
      'host bridges that share bus numbers',
      { ...plan, hostBridges: plan.hostBridges.map((host, i) => (i === 0 ? { ...host, buses: [0, 32] } : host)) },
      /same bus numbers|leave its range/,
    ],
  ];
  it.each(mutants)('sees %s', (_, mutant, want) => expect(checkPlan(machine, mutant).join('\n')).toMatch(want));

  it('sees what only another machine forbids', () => {
    const far = at('far', 0);
    const ram = { ...machine, ram: [AddressRange.sized(far, 0x1000n)] };
    expect(checkPlan(ram, plan).join('\n')).toMatch(/far BAR 0: on RAM/);
    expect(checkPlan({ ...machine, physicalAddressBits: 39 }, plan).join('\n')).toMatch(/beyond 39 address bits/);
    const moved = machine.hostBridges.map((host, i) =>
      i === 1 ? { ...host, windows: host.windows.map((window) => ({ ...window, cpuBase: 0x10000000n })) } : host,
    );
    const onCpu: Plan = {
      ...plan,
      hostBridges: plan.hostBridges.map((host, i) => ({ ...host, windows: moved[i]!.windows })),
    };
    expect(checkPlan({ ...machine, hostBridges: moved }, onCpu).join('\n')).toMatch(/the CPU: .* overlap/);
  });

  it('wants slot order where no bus number is pinned', () => {
    const free = twoPorts();
    const straight = place(free);
    if (straight.status !== 'placed') throw new Error('has a plan');
    const swapped: Plan = {
      ...straight,
      bridges: straight.bridges.map((one) =>
        one.id === 'a' ? { ...one, secondary: 2, subordinate: 2 } : { ...one, secondary: 1, subordinate: 1 },
      ),
    };
    expect(checkPlan(free, straight)).toEqual([]);
    expect(checkPlan(free, swapped).join('\n')).toMatch(/earlier slot/);
  });
});

function twoPorts() {
  const port = (id: string, slot: string) => ({ id, slot, bridge: { kind: 'root-port' as const } });
  return machineFrom(
    {
      pinbar: 1,
      machine: { arch: 'x86_64', ram: [] },
      hostBridges: [{ id: 'h', windows: [], functions: [port('a', '1.0'), port('b', '2.0')] }],
    },
    'test',
  );
}
