import { describe, expect, it } from 'vitest';
import { bar, bridge, endpoint, machineOf } from '../../test/machines.js';
import { GiB, MiB } from '../address/kinds.js';
import { eachFunction, noReserve, type Machine } from '../machine/model.js';
import { applyReserves, type ReserveRequest } from './reserves.js';

const hotplug = { hotplug: 'pcie' } as const;
const machine = machineOf([
  bridge('rp1', '1.0', 'root-port', [], hotplug),
  bridge('rp2', '2.0', 'root-port', [endpoint('dev0', '0.0', [bar(0, 'mem32', MiB)])], hotplug),
  bridge('rp3', '3.0', 'root-port', []),
  bridge(
    'rp4',
    '4.0',
    'root-port',
    [bridge('up', '0.0', 'upstream-port', [bridge('dn0', '0.0', 'downstream-port', [], hotplug)])],
    { ...hotplug, reserve: { ...noReserve, memory: 2n * MiB } },
  ),
]);
const asked = (id: string, reserve: ReserveRequest['reserve']): ReserveRequest => ({
  id,
  reserve,
  source: `--reserve ${id}=…`,
});
const reserves = (of: Machine) =>
  Object.fromEntries(
    of.hostBridges
      .flatMap(({ functions }) => [...eachFunction(functions)])
      .flatMap(({ fn }) => (fn.bridge && fn.bridge.reserve !== noReserve ? [[fn.id, fn.bridge.reserve]] : [])),
  );

describe('hotplug room', () => {
  it('is kept where it is asked for, and what is not asked for stays', () => {
    const edited = applyReserves(machine, [asked('rp2', { buses: 2 }), asked('rp4', { prefetchable: GiB })]);
    expect(reserves(edited)).toEqual({
      rp2: { ...noReserve, buses: 2 },
      rp4: { ...noReserve, memory: 2n * MiB, prefetchable: GiB },
    });
    expect(applyReserves(machine, [])).toBe(machine);
  });

  it('of all is that of every empty port with a slot, and one port’s own comes after it, in whatever order', () => {
    const edited = applyReserves(machine, [
      asked('rp1', { memory: 4n * MiB }),
      asked('all', { memory: MiB, buses: 1 }),
    ]);
    expect(reserves(edited)).toEqual({
      rp1: { ...noReserve, memory: 4n * MiB, buses: 1 },
      dn0: { ...noReserve, memory: MiB, buses: 1 },
      rp4: { ...noReserve, memory: 2n * MiB },
    });
  });

  it('a function that is called all is that function', () => {
    const named = machineOf([bridge('all', '1.0', 'root-port', []), bridge('rp1', '2.0', 'root-port', [], hotplug)]);
    expect(Object.keys(reserves(applyReserves(named, [asked('all', { buses: 1 })])))).toEqual(['all']);
  });

  it.each([
    ['rp', 'reserve-unknown-id', 'the machine has no PCI function with id rp', 'did you mean rp1 or rp2 or rp3?'],
    ['dev0', 'reserve-no-bridge', 'dev0 is no bridge', 'name the root port or downstream port'],
  ])('for %s is refused', (id, code, message, hint) => {
    expect(() => applyReserves(machine, [asked(id, { memory: MiB })])).toThrow(
      expect.objectContaining({ code, exit: 1, hint, message: expect.stringContaining(message) as string }) as Error,
    );
  });

  it('for all is refused where there is no empty port', () => {
    expect(() => applyReserves(machineOf([]), [asked('all', { memory: MiB })])).toThrow(
      expect.objectContaining({ code: 'reserve-no-port', exit: 1 }) as Error,
    );
  });
});
