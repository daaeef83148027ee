import { describe, expect, it } from 'vitest';
import { bridge, endpoint, machineOf } from '../../test/machines.js';
import { enumerate } from '../enumerate/enumerate.js';
import { allFunctions } from '../enumerate/topology.js';
import type { MachineFunction } from '../machine/model.js';
import { whyHidden } from './hidden.js';
import { simulate } from './simulate.js';

const count = async (functions: readonly MachineFunction[]) => {
  const { access, hosts } = simulate(machineOf(functions));
  return allFunctions(await enumerate(access, hosts)).length;
};

describe('functions that no enumeration finds', () => {
  it.each<[string, MachineFunction[], number, string | undefined]>([
    ['none', [endpoint('a', '1.0', []), endpoint('b', '1.4', [])], 2, undefined],
    [
      'any device behind a conventional bridge',
      [bridge('b', '1.0', 'pci-bridge', [endpoint('a', '5.0', [])])],
      2,
      undefined,
    ],
    [
      'no function 0 on a root bus',
      [endpoint('a', '1.0', []), endpoint('b', '2.4', [])],
      1,
      'b sits in slot 02.4, and a device without a function 0 is taken to be absent',
    ],
    [
      'no function 0 behind a bridge',
      [bridge('p', '1.0', 'root-port', [endpoint('a', '0.1', [])])],
      1,
      'a sits in slot 00.1, and a device without a function 0 is taken to be absent',
    ],
    [
      'another device than 0 behind a port',
      [bridge('p', '1.0', 'root-port', [endpoint('a', '3.0', [])])],
      1,
      'a sits in slot 03.0 behind p: the link below a root-port has device 0 only',
    ],
  ])('%s', async (_, functions, found, why) => {
    expect(whyHidden(machineOf(functions))?.why).toBe(why);
    expect(await count(functions)).toBe(found);
  });
});
