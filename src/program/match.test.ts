import { expect, it } from 'vitest';
import { bar, endpoint, machineOf } from '../../test/machines.js';
import { enumerate } from '../enumerate/enumerate.js';
import { planOf } from '../pin/pin.js';
import { simulate } from '../sim/simulate.js';
import { matchPlan } from './match.js';

it('VF BARs of a function with no VFs have no place in a plan', async () => {
  const sriov = { totalVfs: 0, firstVfOffset: 1, vfStride: 1, bars: [bar(0, 'mem64', 0x1000n, true)] };
  const machine = machineOf([endpoint('a', '1.0', [], { sriov })]);
  const { access, hosts } = simulate(machine);
  const matched = matchPlan(await enumerate(access, hosts), planOf(machine));
  expect(matched.map(({ planned }) => planned.id)).toEqual(['a']);
});
