import { describe, expect, it } from 'vitest';
import { bridge, endpoint, machineOf } from '../../../test/machines.js';
import { eachFunction, type Bridge, type Machine } from '../../machine/model.js';
import { keepPlan } from '../../pin/keep.js';
import { planOf } from '../../pin/pin.js';
import { busReserves, numberLikeQboot } from './qboot.js';

const machine = (rp2: Partial<Bridge> = {}) =>
  machineOf([
    bridge('rp1', '1.0', 'root-port', [endpoint('rng', '0.0', [])]),
    bridge(
      'rp2',
      '2.0',
      'root-port',
      [
        bridge('up', '0.0', 'upstream-port', [
          bridge('dn0', '0.0', 'downstream-port', []),
          bridge('dn1', '1.0', 'downstream-port', [endpoint('nvme', '0.0', [])]),
        ]),
      ],
      rp2,
    ),
    bridge('rp3', '2.1', 'root-port', []),
    endpoint('net', '3.0', []),
  ]);
const numbers = (of: Machine) =>
  of.hostBridges
    .flatMap(({ functions }) => [...eachFunction(functions)])
    .flatMap(({ fn }) => (fn.bridge ? `${fn.id} ${fn.bridge.pin.secondary}-${fn.bridge.pin.subordinate}` : []));

describe('bus numbers of qboot', () => {
  it('go from the highest slot down, as Linux 6.12 shows them behind qboot of QEMU 7.2 and 10.0', () => {
    expect(numbers(numberLikeQboot(machine()))).toEqual([
      'rp1 6-6',
      'rp2 2-5',
      'up 3-5',
      'dn0 5-5',
      'dn1 4-4',
      'rp3 1-1',
    ]);
  });

  it('leave the rest of the machine as it is, and other pins', () => {
    const window = { memory: { base: 1n } } as unknown as Bridge['pin'];
    const numbered = numberLikeQboot(machine({ pin: { ...window, secondary: 2 } }));
    expect(numbered.hostBridges[0]?.functions.map(({ id }) => id)).toEqual(['rp1', 'rp2', 'rp3', 'net']);
    expect(numbered.hostBridges[0]?.functions[1]?.bridge?.pin).toMatchObject({
      ...window,
      secondary: 2,
      subordinate: 5,
    });
  });

  it.each([
    [{ secondary: 7 }, /rp2 .*secondary bus number 7.*gives it 2/],
    [{ subordinate: 9 }, /rp2 .*subordinate bus number 9.*gives it 5/],
  ])('are not others', (pin, message) => {
    expect(() => numberLikeQboot(machine({ pin }))).toThrow(
      expect.objectContaining({
        code: 'bus-number-not-kept',
        exit: 1,
        message: expect.stringMatching(message) as string,
      }) as Error,
    );
  });

  it.each(['keep', 'open'] as const)(
    'are those of the machine as it is, where a bridge was plugged in (%s)',
    (windows) => {
      const before = numberLikeQboot(machine());
      const placed = { machine: before, plan: planOf(before) };
      const [host] = machine().hostBridges;
      const functions = host!.functions.map((fn) =>
        fn.id === 'rp3'
          ? { ...fn, bridge: { ...fn.bridge!, functions: [bridge('hot', '0.0', 'upstream-port', [])] } }
          : fn,
      );
      const now = numberLikeQboot({ ...before, hostBridges: [{ ...host!, functions }] });
      const { machine: kept } = keepPlan(now, placed, windows);
      expect(numbers(kept)).toEqual(['rp1 7-7', 'rp2 3-6', 'up 4-6', 'dn0 6-6', 'dn1 5-5', 'rp3 1-2', 'hot 2-2']);
      const { bridges } = planOf(kept);
      expect(bridges.map(({ id, secondary, subordinate }) => `${id} ${secondary}-${subordinate}`).toSorted()).toEqual(
        numbers(kept).toSorted(),
      );
    },
  );

  it('leave no room: where it was asked for is told', () => {
    const asking = machine({ reserve: { buses: 4, io: 0n, memory: 1n << 20n, prefetchable: 0n } });
    expect(busReserves(asking)).toEqual(['rp2']);
    const numbered = numberLikeQboot(asking);
    expect(busReserves(numbered)).toEqual([]);
    expect(numbered.hostBridges[0]?.functions[1]?.bridge?.reserve).toMatchObject({ memory: 1n << 20n });
    expect(busReserves(machine())).toEqual([]);
  });
});
