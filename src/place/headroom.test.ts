import { expect, it } from 'vitest';
import { GiB, MiB } from '../address/kinds.js';
import { machineFrom } from '../machine/load.js';
import { headroomOf } from './headroom.js';
import { headroomToJson } from './headroom-json.js';
import { place } from './place.js';
import { planFromJson, planToJson } from './plan-json.js';
import type { Plan } from './plan.js';

/** A port with a device that takes 1 GiB, one that keeps 256 MiB free, and one with closed windows. */
const machine = machineFrom(
  {
    pinbar: 1,
    machine: { arch: 'aarch64', ram: [{ base: '0x40000000', size: '1GiB' }] },
    reserved: [{ base: '0x81c0000000', size: '256MiB', reason: 'test' }],
    hostBridges: [
      {
        id: 'pcie.0',
        buses: [0, 15],
        windows: [
          { type: 'mem32', base: '0x10000000', size: '64MiB' },
          { type: 'mem64', base: '0x8180000000', size: '4GiB' },
        ],
        functions: [
          {
            id: 'used',
            slot: '1.0',
            bridge: {
              kind: 'root-port',
              functions: [
                { id: 'dev', slot: '0.0', bars: [{ index: 0, type: 'mem64', prefetchable: true, size: '1GiB' }] },
              ],
            },
          },
          {
            id: 'roomy',
            slot: '2.0',
            bridge: { kind: 'root-port', hotplug: 'pcie', reserve: { prefetchable: '256MiB' } },
          },
          { id: 'closed', slot: '3.0', bridge: { kind: 'root-port', hotplug: 'pcie', functions: [] } },
        ],
      },
    ],
  },
  'test',
);
const plan = place(machine) as Plan;

it('tells what is left of windows and bus numbers, and what ports could take', () => {
  expect(plan.status).toBe('placed');
  const { windows, buses, ports } = headroomOf(machine, plan);
  expect(windows).toEqual([
    {
      id: 'pcie.0',
      type: 'mem32',
      base: 0x1000_0000n,
      size: 64n * MiB,
      free: 64n * MiB,
      largest: 64n * MiB,
      least: 0n,
    },
    {
      id: 'pcie.0',
      type: 'mem64',
      base: 0x81_8000_0000n,
      size: 4n * GiB,
      free: 4n * GiB - GiB - 512n * MiB,
      largest: 2n * GiB,
      // The device's GiB, the reserved range, the room.
      least: GiB + 512n * MiB,
    },
  ]);
  expect(buses).toEqual([{ id: 'pcie.0', used: [0, 3], range: [0, 15] }]);
  expect(ports).toEqual([
    {
      id: 'roomy',
      asIs: { memory: 0n, prefetchable: 256n * MiB },
      grown: { memory: 64n * MiB, prefetchable: 2n * GiB },
    },
    {
      id: 'closed',
      asIs: { memory: 0n, prefetchable: 0n },
      grown: { memory: 64n * MiB, prefetchable: 2n * GiB },
    },
  ]);
});

it('is what solving says: the next larger device has no place, and neither has a smaller window', () => {
  const { windows } = headroomOf(machine, plan);
  const [host] = machine.hostBridges;
  for (const { type, least } of windows) {
    const sized = (size: bigint) =>
      place({
        ...machine,
        hostBridges: [{ ...host!, windows: host!.windows.map((one) => (one.type === type ? { ...one, size } : one)) }],
      }).status;
    if (least === 0n) continue;
    expect(sized(least!)).toBe('placed');
    expect(sized(least! - 4096n)).toBe('infeasible');
  }
});

it('says where it does not know, and has a JSON form that a plan may carry', () => {
  const hurried = headroomOf(machine, plan, { stop: () => true });
  expect(hurried.windows.map(({ least }) => least)).toEqual([undefined, undefined]);
  const json = { ...planToJson(plan), headroom: headroomToJson(hurried) };
  expect(json.headroom.windows[0]?.least).toBe(null);
  expect(planFromJson(JSON.parse(JSON.stringify(json)))).toEqual(plan);
});

it('finds the least size to 4 KiB, and names no BAR that there cannot be', () => {
  const tight = machineFrom(
    {
      pinbar: 1,
      machine: { arch: 'aarch64', board: 'none', ram: [{ base: '0x100000000', size: '1GiB' }] },
      hostBridges: [
        {
          id: 'pcie.0',
          windows: [
            { type: 'io', base: '0x1000', size: '60KiB' },
            { type: 'mem32', base: '0x10000000', size: '9MiB' },
            { type: 'mem32', base: '0x0', size: '1MiB' },
          ],
          functions: [
            {
              id: 'dev0',
              slot: '1.0',
              bars: [
                { index: 0, type: 'mem32', size: '4KiB', pin: '0x10800000' },
                { index: 1, type: 'mem32', size: '8MiB' },
              ],
            },
          ],
        },
      ],
    },
    'test',
  );
  const { windows } = headroomOf(tight, place(tight) as Plan);
  expect(windows.map(({ type, largest, least }) => [type, largest, least])).toEqual([
    ['io', 256n, 0n],
    ['mem32', 512n * 1024n, 0x80_1000n],
    ['mem32', MiB, 0n],
  ]);
});
