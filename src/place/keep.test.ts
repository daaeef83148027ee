import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkPlan } from '../../test/check/check-plan.js';
import { validMachine } from '../../test/check/layouts.js';
import { Random } from '../../test/check/random.js';
import { machineFrom } from '../machine/load.js';
import type { Machine, MachineFunction } from '../machine/model.js';
import { movesOf } from './moves.js';
import { place } from './place.js';
import type { Plan } from './plan.js';
import { heldTo, isBus, staysOf } from './stay.js';

/** Bus numbers that were kept go up in slot order no more than pinned ones do. */
const wrong = (machine: Machine, plan: Plan, keep?: Plan) =>
  checkPlan(keep ? heldTo(machine, staysOf(machine, plan).filter(isBus)) : machine, plan);

function planOf(machine: Machine, keep?: Plan): Plan {
  const result = place(machine, keep ? { keep } : {});
  if (result.status !== 'placed') throw new Error(result.status);
  expect(wrong(machine, result, keep)).toEqual([]);
  return result;
}

/** Devices on ports, each with one BAR. */
const machineOf = (...devices: readonly (readonly [string, string, string?])[]): Machine =>
  machineFrom(
    {
      pinbar: 1,
      machine: { arch: 'aarch64', ram: [{ base: '0x40000000', size: '1GiB' }] },
      hostBridges: [
        {
          id: 'pcie.0',
          windows: [{ type: 'mem64', base: '0x8000000000', size: '8GiB' }],
          functions: devices.map(([id, size, pin], i) => ({
            id: `port of ${id}`,
            slot: `${(i + 1).toString(16)}.0`,
            bridge: {
              kind: 'root-port',
              functions: [
                {
                  id,
                  slot: '0.0',
                  bars: [{ index: 0, type: 'mem64', prefetchable: true, size, ...(pin ? { pin } : {}) }],
                },
              ],
            },
          })),
        },
      ],
    },
    'test',
  );
const movedIds = (before: Plan, after: Plan) =>
  movesOf(before, after)
    .moved.filter(({ subject }) => subject !== 'secondary')
    .map(({ id }) => id);

describe('an earlier plan', () => {
  const before = machineOf(['a', '1GiB'], ['b', '64MiB'], ['c', '256MiB']);
  const plan = planOf(before);

  it('is the same again for the same machine', () => {
    expect(planOf(before, plan)).toEqual(plan);
  });

  it('leaves all where it was when something comes, which would come first otherwise', () => {
    const after = machineOf(['new', '2GiB'], ['a', '1GiB'], ['b', '64MiB'], ['c', '256MiB']);
    expect(movedIds(plan, planOf(after))).toEqual(['a', 'c', 'b'].sort());
    expect(movedIds(plan, planOf(after, plan))).toEqual([]);
  });

  it('leaves all where it was when something goes', () => {
    expect(movedIds(plan, planOf(machineOf(['c', '256MiB'], ['b', '64MiB']), plan))).toEqual([]);
  });

  it('gives way to a pin, where it has to', () => {
    const at = plan.functions.find(({ id }) => id === 'b')!.bars[0]!.address;
    const after = machineOf(['a', '1GiB'], ['b', '64MiB'], ['c', '256MiB'], ['new', '1MiB', `0x${at.toString(16)}`]);
    const kept = planOf(after, plan);
    expect(movedIds(plan, kept)).toEqual(['b']);
    expect(kept.functions.filter(({ bars }) => bars.some(({ pinned }) => pinned)).map(({ id }) => id)).toEqual(['new']);
  });

  it('is of no matter to a conflict', () => {
    expect(place(machineOf(['a', '16GiB'], ['b', '64MiB']), { keep: plan })).toEqual(
      place(machineOf(['a', '16GiB'], ['b', '64MiB'])),
    );
  });
});

it('of any machine is kept as far as that can be: what moved could not have stayed', () => {
  let moves = 0;
  fc.assert(
    fc.property(fc.nat(), fc.boolean(), (seed, tight) => {
      const functions = 3 + (seed % 8);
      const machine = validMachine({ seed, functions, pins: 0.2, tight, busPins: seed % 2 === 0, hosts: 1 });
      const before = planOf(machine);
      const changed = grown(machine, seed);
      const kept = place(changed, { keep: before, remedies: false });
      expect(kept.status).toBe(place(changed, { remedies: false }).status);
      if (kept.status !== 'placed') return;
      expect(wrong(changed, kept, before)).toEqual([]);
      expect(place(changed, { keep: before, remedies: false })).toEqual(kept);
      const { moved } = movesOf(before, kept);
      moves += moved.length;
      const gone = new Set(moved.map(({ id, subject }) => `${id} ${subject}`));
      const stays = staysOf(changed, before).filter(({ at }) => typeof at === 'bigint');
      const stayed = stays.filter(({ id, subject }) => subject !== 'subordinate' && !gone.has(`${id} ${subject}`));
      for (const one of stays.filter(({ id, subject }) => gone.has(`${id} ${subject}`))) {
        // Bus numbers may also have moved for the sake of each other's last buses, which are kept, too.
        if (one.subject === 'secondary') continue;
        expect(place(heldTo(changed, [...stayed, one]), { remedies: false }).status).toBe('infeasible');
      }
    }),
    { numRuns: 60 },
  );
  expect(moves).toBeGreaterThan(0);
});

/** One BAR larger than it was, another one gone. */
function grown(machine: Machine, seed: number): Machine {
  const random = new Random(seed);
  const change = (fn: MachineFunction): MachineFunction => ({
    ...fn,
    bars: fn.bars.flatMap((bar) => {
      if (bar.pin !== undefined || bar.type !== 'mem64' || random.chance(0.5)) return [bar];
      return random.chance(0.5) ? [] : [{ ...bar, size: bar.size * 2n }];
    }),
    ...(fn.bridge ? { bridge: { ...fn.bridge, functions: fn.bridge.functions.map(change) } } : {}),
  });
  return {
    ...machine,
    hostBridges: machine.hostBridges.map((host) => ({ ...host, functions: host.functions.map(change) })),
  };
}
