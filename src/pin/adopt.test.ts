import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyMachine, bar, bridge, endpoint, machineOf } from '../../test/machines.js';
import { KiB, MiB } from '../address/kinds.js';
import { enumerate } from '../enumerate/enumerate.js';
import { toMachine } from '../enumerate/to-machine.js';
import type { Machine } from '../machine/model.js';
import { formatBdf } from '../pci/bdf.js';
import { place } from '../place/place.js';
import type { Plan } from '../place/plan.js';
import { program } from '../program/program.js';
import { programme } from '../program/programme.js';
import { simulate } from '../sim/simulate.js';
import { adopt } from './adopt.js';
import { applyPins, type Pin } from './pins.js';

const dev = (n: number) => endpoint(`dev${n}`, '0.0', [bar(0, 'mem32', 4n * KiB), bar(2, 'mem64', 64n * MiB, true)]);
const port = (n: number) => bridge(`rp${n}`, `${n}.0`, 'root-port', [dev(n)]);
const machine = machineOf([port(1), port(2), port(3)]);

/** The machine as firmware leaves it: its plan is another one than the solver's, with BARs where `at` has them. */
async function afterFirmware(at: readonly Pin[], own: Machine = machine) {
  const { access, hosts } = simulate(own);
  const names = new Map<string, string>();
  const result = place(applyPins(own, at));
  if (result.status !== 'placed') throw new Error('the firmware has no plan');
  for (const { id, address } of result.functions) names.set(formatBdf(address), id);
  await program(access, programme(await enumerate(access, hosts), result));
  const topology = await enumerate(access, hosts);
  const { hostBridges, ...rest } = own;
  const windows = Object.fromEntries(hostBridges.map((host) => [host.id, host.windows]));
  return {
    topology,
    found: toMachine(topology, { ...rest, windows }, { name: ({ at: where }) => names.get(formatBdf(where)) }),
    plan: result,
  };
}

const pin = (id: string, address: bigint): Pin => ({ id, target: 2, address, source: '--pin' });
const addresses = ({ functions }: Plan) =>
  Object.fromEntries(
    functions.flatMap(({ id, bars }) => bars.map(({ index, address }) => [`${id} ${index}`, address] as const)),
  );
const firmware = [pin('dev1', 0x5000_0000_0000n), pin('dev2', 0x5000_1000_0000n), pin('dev3', 0x5000_2000_0000n)];

describe('a machine that firmware has placed', () => {
  it('stays as it is but for what is pinned', async () => {
    const { topology, found, plan } = await afterFirmware(firmware);
    const adopted = adopt(topology, applyPins(found, [pin('dev2', 0x6000_0000_0000n)]));
    expect(adopted.moved).toEqual([]);
    const [before, after] = [addresses(plan), addresses(adopted.plan)];
    expect(after).toMatchObject({ 'dev2 2': 0x6000_0000_0000n });
    for (const kept of ['dev1 0', 'dev1 2', 'dev3 0', 'dev3 2']) expect(after[kept]).toBe(before[kept]);
    const windows = ({ bridges }: Plan) => bridges.filter(({ id }) => id !== 'rp2');
    expect(windows(adopted.plan)).toEqual(windows(plan));
  });

  it('gives way where a pin needs the place, and nothing goes below where firmware began', async () => {
    const { topology, found } = await afterFirmware(firmware);
    const adopted = adopt(topology, applyPins(found, [pin('dev2', 0x5000_2000_0000n)]));
    expect(adopted.moved).toEqual(['rp3']);
    const after = addresses(adopted.plan);
    expect(after).toMatchObject({ 'dev1 2': 0x5000_0000_0000n, 'dev2 2': 0x5000_2000_0000n });
    expect(after['dev3 2']).toBeGreaterThan(0x5000_0000_0000n);
  });

  it('has the user’s pins, and no others, and the windows of the machine', async () => {
    const { topology, found } = await afterFirmware(firmware);
    const { plan } = adopt(topology, applyPins(found, [pin('dev2', 0x6000_0000_0000n)]));
    expect(
      plan.functions.flatMap(({ id, bars }) =>
        bars.filter(({ pinned }) => pinned).map(({ index }) => `${id} ${index}`),
      ),
    ).toEqual(['dev2 2']);
    expect(plan.hostBridges[0]?.windows).toEqual(machine.hostBridges[0]?.windows);
  });

  it('is placed anew where room is wanted', async () => {
    const { topology, found, plan } = await afterFirmware(firmware);
    const roomy: Machine = {
      ...found,
      hostBridges: found.hostBridges.map((host) => ({
        ...host,
        functions: host.functions.map((fn) =>
          fn.id === 'rp1' && fn.bridge
            ? { ...fn, bridge: { ...fn.bridge, reserve: { buses: 0, io: 0n, memory: 0n, prefetchable: 1024n * MiB } } }
            : fn,
        ),
      })),
    };
    const adopted = adopt(topology, roomy, new Set(['rp1']));
    expect(adopted.moved).toEqual([]);
    const window = adopted.plan.bridges.find(({ id }) => id === 'rp1')?.prefetchable;
    expect(window && window.limit - window.base + 1n).toBeGreaterThanOrEqual(1024n * MiB + 64n * MiB);
    expect(addresses(adopted.plan)).toMatchObject({ 'dev3 2': addresses(plan)['dev3 2'] });
  });

  it('that cannot hold the pins is refused as ever', async () => {
    const { topology, found } = await afterFirmware(firmware);
    expect(() => adopt(topology, applyPins(found, [pin('dev2', 0x6000_0000_1000n)]))).toThrow(
      expect.objectContaining({ code: 'no-plan', exit: 2 }) as Error,
    );
  });

  it('without pins stays as it is, whatever it is', async () => {
    await fc.assert(
      fc.asyncProperty(anyMachine, async (own) => {
        const result = place(own, { remedies: false });
        // A BAR at 0 is one that firmware has not placed.
        if (result.status !== 'placed' || Object.values(addresses(result)).includes(0n)) return;
        const { topology, found, plan } = await afterFirmware([], own);
        const adopted = adopt(topology, found);
        expect(adopted.moved).toEqual([]);
        expect(addresses(adopted.plan)).toEqual(addresses(plan));
      }),
      { numRuns: 30 },
    );
  });
});
