import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allOfConfigSpace, ecam, guest, seen, topologies, walk, type Guest } from '../../../test/support/race.js';
import { attach, expectNoneTorn, whole } from '../../../test/support/race-expect.js';
import type { Machine } from '../../machine/model.js';
import { anyMachine, endpoint } from '../../../test/machines.js';
import { AddressRange } from '../../address/range.js';
import type { Topology } from '../../enumerate/topology.js';
import { Problem } from '../../problem/problem.js';
import type { DataAbort } from './access.js';
import { simulate, type SimulatedMachine } from '../simulate.js';
import { deviceModel } from './device-model.js';
import { ecamRegion, rootComplex, type ConfigResponder } from './ecam-region.js';

const emptyWalk = 32;

describe.each(Object.entries(topologies))('an IOREQ server attaches while a guest walks the bus: %s', (_, machine) => {
  it('before each access in turn: nothing or all of a device, and a rescan finds it', async () => {
    const { topology: all, accesses } = await whole(machine);
    const found: number[] = [];
    for (let k = 1; k <= accesses; k++) {
      const one = guest({ background: true });
      one.before = (n) => {
        if (n === k) attach(one, machine);
      };
      const early = await walk(one);
      expectNoneTorn(early, all);
      found.push(seen(early).size);
      one.before = () => undefined;
      if (one.accesses < k) attach(one, machine);
      const again = await walk(one);
      expect(again.findings).toEqual([]);
      expect(seen(again)).toEqual(seen(all));
    }
    // Both outcomes have occurred, and from where the last device was looked for on nothing is found.
    expect(found[0]).toBe(seen(all).size);
    expect(found.slice(emptyWalk)).toEqual(found.slice(emptyWalk).map(() => 0));
  });

  it('and leaves, early, late and in between: every function that is seen is whole, and what is not is told', async () => {
    const { topology: all, accesses } = await whole(machine);
    const reference = seen(all);
    const found: number[] = [];
    for (let k = 1; k <= accesses; k += k < accesses - 20 ? 4 : 1) {
      const one = guest({ background: true });
      const { server } = attach(one, machine);
      one.before = (n) => {
        if (n === k) server.destroy();
      };
      const topology = await walk(one);
      const partial = seen(topology);
      for (const [path, fn] of partial) expect([path, fn]).toEqual([path, reference.get(path)]);
      // Up to the first look at the last device it may never have been there.
      if (partial.size < reference.size && k > emptyWalk)
        expect(topology.findings.map(({ code }) => code)).toContain('vanished');
      found.push(partial.size);
    }
    expect(found[0]).toBe(0);
    expect(found.at(-1)).toBe(reference.size - 1);
  });

  it('without a background region the first access faults, unless the server was there before it', async () => {
    const { accesses } = await whole(machine);
    for (const k of [1, 2, 3, emptyWalk, accesses]) {
      const one = guest({ background: false });
      one.before = (n) => {
        if (n === k) attach(one, machine);
      };
      const outcome = await walk(one).catch((error: unknown) => error);
      if (k === 1) expect(outcome).not.toBeInstanceOf(Problem);
      else {
        expect((outcome as Problem).code).toBe('guest-abort');
        expect(one.accesses).toBe(1);
        const abort = (outcome as Problem).facts['abort'] as DataAbort;
        expect(abort).toMatchObject({
          cause: 'external',
          access: { address: ecam.base, width: 4 },
          syndrome: 0x9600_0000,
        });
      }
    }
  });
});

it('any machine, any access', async () => {
  const point = fc.double({ min: 0, max: 1, noNaN: true });
  await fc.assert(
    fc.asyncProperty(anyMachine, point, async ({ hostBridges: [host], ...machine }, when) => {
      const one = { ...machine, hostBridges: [{ ...host!, buses: [0, 255] as const }] };
      const { topology: all, accesses } = await whole(one);
      const k = Math.max(1, Math.ceil(when * accesses));
      const late = guest({ background: true });
      late.before = (n) => {
        if (n === k) attach(late, one);
      };
      expectNoneTorn(await walk(late), all);
      late.before = () => undefined;
      if (late.accesses < k) attach(late, one);
      expect(seen(await walk(late))).toEqual(seen(all));
    }),
    { numRuns: 120 },
  );
});

it('servers that attach at random, each with devices of its own', async () => {
  // Each claims the slots of its own devices, a bus behind which other servers are.
  const slots = [1, 4, 9, 0x1f];
  const names = Object.keys(topologies);
  const schedule = fc.array(
    fc.record({
      at: fc.integer({ min: 1, max: 400 }),
      slot: fc.constantFrom(...slots),
      name: fc.constantFrom(...names),
    }),
    { minLength: 1, maxLength: 4 },
  );
  await fc.assert(
    fc.asyncProperty(schedule, async (plans) => {
      const chosen = new Map(plans.map((plan) => [plan.slot, plan]));
      const add = (one: Guest, slot: number, name: string) => {
        const first = topologies[name]!.hostBridges[0]!.functions[0]!;
        const fns = topologies[name]!.hostBridges[0]!.functions.filter(
          (fn) => fn.slot.device === first.slot.device && !fn.bridge,
        ).map((fn) => ({ ...fn, slot: { ...fn.slot, device: slot } }));
        const model = deviceModel(
          { ...topologies[name]!, hostBridges: [{ ...topologies[name]!.hostBridges[0]!, functions: fns }] },
          [ecam],
        );
        const server = one.servers.create(`slot ${slot}`, model.handler);
        server.claimMemory(AddressRange.sized(ecam.base + BigInt(slot << 15), 1n << 15n));
        server.enable();
      };
      const all = guest({ background: true });
      for (const { slot, name } of chosen.values()) add(all, slot, name);
      const reference = await walk(all);
      const one = guest({ background: true });
      one.before = (n) => {
        for (const { at, slot, name } of chosen.values()) if (n === at) add(one, slot, name);
      };
      expectNoneTorn(await walk(one), reference);
      for (const { at, slot, name } of chosen.values()) if (at > one.accesses) add(one, slot, name);
      one.before = () => undefined;
      expect(seen(await walk(one))).toEqual(seen(reference));
    }),
    { numRuns: 300 },
  );
});

describe('behind a host bridge of the machine’s own, a server that claims functions by their numbers', () => {
  const machine = topologies['a device of several functions']!;

  it('early, late and in between: nothing or all of a device, without any background', async () => {
    const { functions, ...host } = machine.hostBridges[0]!;
    const start = () => {
      const one = guest({ background: false });
      const own = simulate({ hostBridges: [{ ...host, functions: [endpoint('own', '1', [])] }] });
      one.space.add(ecamRegion(ecam, [onlyOwn(own), one.servers.config, rootComplex(own.access)]));
      return one;
    };
    const attachTo = (one: Guest) => {
      const server = one.servers.create('qemu', deviceModel({ hostBridges: [{ ...host, functions }] }, [ecam]).handler);
      for (const { slot } of functions) server.claimFunction({ segment: 0, bus: 0, ...slot });
      server.enable();
    };
    const there = start();
    attachTo(there);
    const all = await walk(there);
    expect([...seen(all).keys()]).toEqual(['/1.0', '/4.0', '/4.1', '/4.2', '/4.5']);
    for (let k = 1; k <= there.accesses; k += k < 40 ? 1 : 5) {
      const one = start();
      one.before = (n) => {
        if (n === k) attachTo(one);
      };
      const early = await walk(one);
      expectNoneTorn(early, all);
      expect(seen(early).size).toBe(k <= 5 ? 5 : 1);
      one.before = () => undefined;
      if (one.accesses < k) attachTo(one);
      expect(seen(await walk(one))).toEqual(seen(all));
    }
  });

  /** The machine's own functions, and nothing where it has none. */
  const onlyOwn =
    (own: SimulatedMachine): ConfigResponder =>
    (op) =>
      own.functionAt(op.at) ? rootComplex(own.access)(op) : null;
});

describe('what has to be claimed together', () => {
  const machine = topologies['a device of several functions']!;
  const functionRange = (fn: number) => AddressRange.sized(ecam.base + BigInt(((4 << 3) | fn) << 12), 0x1000n);

  /** Claims one function after the other, in the order of `fns`, every `GAP` accesses from the one numbered `first` on. */
  const GAP = 40;

  async function oneByOne(fns: readonly number[], first: number): Promise<Topology> {
    const one = guest({ background: true });
    const server = one.servers.create('qemu', deviceModel(machine, [ecam]).handler);
    server.enable();
    one.before = (n) => {
      const fn = fns[(n - first) / GAP];
      if (fn !== undefined) server.claimMemory(functionRange(fn));
    };
    return walk(one);
  }

  it('claims made while enabled can tear a device of several functions: function 0 before the others', async () => {
    const { topology: all } = await whole(machine);
    const sizes = new Set<number>();
    for (let first = 1; first <= 200; first++) sizes.add(seen(await oneByOne([0, 1, 2, 5], first)).size);
    expect(sizes).toContain(0);
    expect([...sizes].some((size) => size > 0 && size < seen(all).size)).toBe(true);
  });

  it('a server that answers nothing before all of its devices are there cannot, as QEMU does not', async () => {
    const { topology: all } = await whole(machine);
    for (const k of [1, 2, 16, 17, 30, 32]) {
      // Slots fill one by one behind the server's back; accesses wait meanwhile.
      const one = guest({ background: true });
      const functions: Machine['hostBridges'][number]['functions'][number][] = [];
      let ready: () => void = () => undefined;
      const started = new Promise<void>((resolve) => (ready = resolve));
      const built = started.then(() =>
        deviceModel({ hostBridges: [{ ...machine.hostBridges[0]!, functions }] }, [ecam]),
      );
      one.before = (n) => {
        if (n !== k) return;
        const server = one.servers.create('qemu', async (request) => (await built).handler(request));
        server.enable();
        server.claimMemory(allOfConfigSpace);
        machine.hostBridges[0]!.functions.forEach((fn, i) => setTimeout(() => functions.push(fn), 2 * i));
        setTimeout(ready, 20);
      };
      expectNoneTorn(await walk(one), all);
      await started;
      one.before = () => undefined;
      expect(seen(await walk(one))).toEqual(seen(all));
    }
  });

  it('function 0 last cannot, because it is looked for first', async () => {
    const { topology: all } = await whole(machine);
    for (let first = 1; first <= 200; first++) expectNoneTorn(await oneByOne([5, 2, 1, 0], first), all);
  });
});
