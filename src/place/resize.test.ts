import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkPlan } from '../../test/check/check-plan.js';
import { validMachine } from '../../test/check/layouts.js';
import { Random } from '../../test/check/random.js';
import { GiB, MiB } from '../address/kinds.js';
import { machineFrom } from '../machine/load.js';
import type { Bar, Machine, MachineFunction } from '../machine/model.js';
import { place } from './place.js';
import { planFromJson, planToJson } from './plan-json.js';
import type { Plan } from './plan.js';

const sizes = ['256MiB', '512MiB', '1GiB', '4GiB'];

/** GPUs on a root bus with a 64-bit window of this size, 1 MiB of other memory beside them. */
const gpus = (window: string, ...bars: object[]): Machine =>
  machineFrom(
    {
      pinbar: 1,
      machine: { arch: 'aarch64', ram: [{ base: '0x40000000', size: '1GiB' }] },
      hostBridges: [
        {
          id: 'pcie.0',
          windows: [{ type: 'mem64', base: '0x8000000000', size: window }],
          functions: bars.map((bar, i) => ({
            id: `gpu${i}`,
            slot: `${(i + 1).toString(16)}.0`,
            bars: [{ index: 0, type: 'mem64', prefetchable: true, size: '256MiB', sizes, resize: 'largest', ...bar }],
          })),
        },
      ],
    },
    'test',
  );

const planOf = (machine: Machine): Plan => {
  const result = place(machine);
  if (result.status !== 'placed') throw new Error(JSON.stringify(planToJson(result)));
  expect(checkPlan(machine, result)).toEqual([]);
  return result;
};
const sizesOf = (plan: Plan) => plan.functions.flatMap(({ bars }) => bars.map(({ size }) => size / MiB));

describe('a resizable BAR', () => {
  it.each([
    ['is the largest that fits', '4GiB', [{}], [4096n]],
    ['is no larger than its window', '3GiB', [{}], [1024n]],
    ['grows with those that are like it', '5GiB', [{}, {}, {}], [1024n, 1024n, 1024n]],
    ['grows alone where one more has room', '6GiB', [{}, {}], [4096n, 1024n]],
    ['stays as it is', '8GiB', [{ resize: 'keep' }, {}], [256n, 4096n]],
    ['has the size that was asked for', '8GiB', [{ resize: '512MiB' }, {}], [512n, 4096n]],
    ['can be smaller than before', '1GiB', [{ size: '4GiB' }], [1024n]],
    ['stays at its pin, which some sizes rule out', '8GiB', [{ pin: '0x8060000000' }], [512n]],
  ])('%s', (_, window, bars, expected) => {
    expect(sizesOf(planOf(gpus(window, ...bars)))).toEqual(expected);
  });

  it('says what its size was, in the plan and in its JSON', () => {
    const plan = planOf(gpus('6GiB', {}, { resize: 'keep' }));
    expect(plan.functions.map(({ bars }) => bars[0]?.resizedFrom)).toEqual([256n * MiB, undefined]);
    expect(planFromJson(JSON.parse(JSON.stringify(planToJson(plan))))).toEqual(plan);
  });

  it('of VFs, too', () => {
    const machine = gpus('5GiB', { resize: 'keep' });
    const [host] = machine.hostBridges;
    const [pf] = host!.functions;
    const bar: Bar = {
      index: 0,
      type: 'mem64',
      prefetchable: true,
      size: MiB,
      resizable: { sizes: [MiB, GiB, 2n * GiB], to: 'largest' },
    };
    const withVfs: Machine = {
      ...machine,
      hostBridges: [
        {
          ...host!,
          functions: [{ ...pf!, sriov: { totalVfs: 4, firstVfOffset: 1, vfStride: 1, bars: [bar] } }],
        },
      ],
    };
    expect(planOf(withVfs).functions[0]?.sriov?.bars).toMatchObject([{ size: GiB, count: 4, resizedFrom: MiB }]);
  });

  it('is at its smallest in a conflict, and smaller in a remedy', () => {
    expect(place(gpus('128MiB', {}))).toMatchObject({
      status: 'infeasible',
      conflict: { summary: expect.stringContaining('taken at their smallest sizes') as string },
    });
    const asked = place(gpus('1GiB', { resize: '4GiB' }));
    expect(asked).toMatchObject({
      status: 'infeasible',
      remedies: expect.arrayContaining([
        {
          change: 'resize gpu0 BAR 0 to 1 GiB instead of 4 GiB, as the Resizable BAR capability offers',
          verified: true,
        },
      ]) as unknown,
    });
  });
});

/** Some BARs made resizable, from half their size to eight times. */
function resizable(machine: Machine, seed: number): Machine {
  const random = new Random(seed);
  const change = (fn: MachineFunction): MachineFunction => ({
    ...fn,
    bars: fn.bars.map((bar) => {
      const offered = [bar.size / 2n, bar.size, bar.size * 2n, bar.size * 8n];
      if (bar.type !== 'mem64' || bar.size < 2n * MiB || random.chance(0.5)) return bar;
      return { ...bar, resizable: { sizes: offered, to: random.chance(0.8) ? 'largest' : offered[0]! } };
    }),
    ...(fn.bridge ? { bridge: { ...fn.bridge, functions: fn.bridge.functions.map(change) } } : {}),
  });
  return {
    ...machine,
    hostBridges: machine.hostBridges.map((host) => ({ ...host, functions: host.functions.map(change) })),
  };
}

it('fits in a machine that has a plan, and none can be larger while the others stay', () => {
  let grown = 0;
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom(0, 0.3), fc.boolean(), (seed, pins, tight) => {
      const functions = 2 + (seed % 8);
      const machine = resizable(validMachine({ seed, functions, pins, tight, busPins: false, hosts: 1 }), seed);
      const plan = planOf(machine);
      const chosen = new Map(plan.functions.flatMap(({ id, bars }) => bars.map((bar) => [`${id} ${bar.index}`, bar])));
      /** Every BAR at the size that was chosen, one of them at its next. */
      const withNext = (id: string, index: number): Machine | null => {
        const larger: bigint[] = [];
        const change = (fn: MachineFunction): MachineFunction => ({
          ...fn,
          bars: fn.bars.map((bar) => {
            const { resizable: offer, ...rest } = bar;
            const { size } = chosen.get(`${fn.id} ${bar.index}`)!;
            const next = offer?.sizes.find((one) => one > size);
            if (fn.id !== id || bar.index !== index || next === undefined) return { ...rest, size };
            larger.push(next);
            return { ...rest, size: next };
          }),
          ...(fn.bridge ? { bridge: { ...fn.bridge, functions: fn.bridge.functions.map(change) } } : {}),
        });
        const hostBridges = machine.hostBridges.map((host) => ({ ...host, functions: host.functions.map(change) }));
        return larger.length > 0 ? { ...machine, hostBridges } : null;
      };
      const walk = (fn: MachineFunction) => {
        for (const { index, resizable: offer } of fn.bars) {
          if (offer?.to !== 'largest') continue;
          const larger = withNext(fn.id, index);
          if (chosen.get(`${fn.id} ${index}`)!.resizedFrom !== undefined) grown++;
          if (larger) expect(place(larger, { remedies: false }).status).toBe('infeasible');
        }
        fn.bridge?.functions.forEach(walk);
      };
      machine.hostBridges.forEach((host) => host.functions.forEach(walk));
    }),
    { numRuns: 60 },
  );
  expect(grown).toBeGreaterThan(0);
});
