import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyMachine, bar, bridge, endpoint, machineOf } from '../../test/machines.js';
import type { Machine, MachineFunction } from '../machine/model.js';
import { deviceFunction } from '../pci/bdf.js';
import type { SimFunction } from '../sim/function.js';
import { simulate } from '../sim/simulate.js';
import { enumerate } from './enumerate.js';
import { findingText } from './findings.js';
import type { SeenFunction } from './topology.js';

/** What a topology has in common with the machine file's functions. */
function asModel(fn: SeenFunction): unknown {
  const bars = fn.bars.map(({ index, type, prefetchable, size }) => ({ index, type, prefetchable, size }));
  return {
    slot: deviceFunction(fn.at),
    bars,
    rom: fn.rom?.size,
    sriov: fn.sriov && {
      totalVfs: fn.sriov.totalVfs,
      firstVfOffset: fn.sriov.firstVfOffset,
      vfStride: fn.sriov.vfStride,
      bars: fn.sriov.bars.map(({ index, type, prefetchable, size }) => ({ index, type, prefetchable, size })),
    },
    bridge: fn.bridge && {
      kind: fn.bridge.kind,
      io: fn.bridge.io,
      prefetchable: fn.bridge.prefetchable,
      hotplug: fn.bridge.hotplug,
      functions: fn.bridge.functions.map(asModel),
    },
  };
}

function model(fn: MachineFunction): unknown {
  return {
    slot: deviceFunction(fn.slot),
    bars: fn.bars,
    rom: fn.rom?.size,
    sriov: fn.sriov ?? null,
    bridge: fn.bridge
      ? {
          kind: fn.bridge.kind,
          io: fn.bridge.io,
          prefetchable: fn.bridge.prefetchable,
          hotplug: fn.bridge.hotplug,
          functions: fn.bridge.functions.map(model),
        }
      : null,
  };
}

const everything = (functions: readonly SimFunction[]): SimFunction[] =>
  functions.flatMap((fn) => [fn, ...everything(fn.children)]);

/** Command, BARs and ROM of every function. */
const registers = (sim: ReturnType<typeof simulate>) =>
  everything(sim.hosts.flatMap(({ functions }) => functions)).map((fn) => [
    fn.id,
    fn.registers.read(4, 2),
    ...Array.from({ length: fn.model.bridge ? 2 : 6 }, (_, i) => fn.registers.read(0x10 + 4 * i, 4)),
    fn.registers.read(fn.model.bridge ? 0x38 : 0x30, 4),
    ...(fn.at.sriov ? Array.from({ length: 6 }, (_, i) => fn.registers.read(fn.at.sriov + 0x24 + 4 * i, 4)) : []),
    ...(fn.at.sriov ? [fn.registers.read(fn.at.sriov + 0x10, 2)] : []),
  ]);

describe('enumerate', () => {
  it('finds every machine again, and leaves BARs, ROMs and Command registers as they were', async () => {
    await fc.assert(
      fc.asyncProperty(anyMachine, async (machine: Machine) => {
        const sim = simulate(machine);
        const before = registers(sim);
        const topology = await enumerate(sim.access, sim.hosts);
        expect(topology.findings).toEqual([]);
        expect(topology.hosts.map(({ functions }) => functions.map(asModel))).toEqual(
          machine.hostBridges.map(({ functions }) => functions.map(model)),
        );
        expect(registers(sim)).toEqual(before);
      }),
      { numRuns: 200 },
    );
  });

  it('reads what it left behind without a write, and finds the same functions at the same addresses', async () => {
    await fc.assert(
      fc.asyncProperty(anyMachine, async (machine: Machine) => {
        const sim = simulate(machine);
        const first = await enumerate(sim.access, sim.hosts);
        sim.count.writes = 0;
        const second = await enumerate(sim.access, sim.hosts, { probe: false });
        expect(sim.count.writes).toBe(0);
        const where = (fn: SeenFunction): unknown => [fn.at, fn.bridge?.secondary, fn.bridge?.functions.map(where)];
        expect(second.hosts.map(({ functions }) => functions.map(where))).toEqual(
          first.hosts.map(({ functions }) => functions.map(where)),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('numbers buses depth first', async () => {
    const leaf = (id: string) => endpoint(id, '0', []);
    const machine = machineOf([
      bridge('rp1', '1', 'root-port', [
        bridge('up', '0', 'upstream-port', [
          bridge('down1', '0', 'downstream-port', [leaf('a')]),
          bridge('down2', '1', 'downstream-port', [leaf('b')]),
        ]),
      ]),
      bridge('rp2', '2', 'root-port', [leaf('c')]),
    ]);
    const { access, hosts } = simulate(machine);
    const { hosts: seen } = await enumerate(access, hosts);
    const [rp1, rp2] = seen[0]!.functions;
    const buses = (fn: SeenFunction | undefined) => [
      fn?.bridge?.primary,
      fn?.bridge?.secondary,
      fn?.bridge?.subordinate,
    ];
    const up = rp1!.bridge!.functions[0];
    expect([rp1, up, ...up!.bridge!.functions, rp2].map(buses)).toEqual([
      [0, 1, 4],
      [1, 2, 4],
      [2, 3, 3],
      [2, 4, 4],
      [0, 5, 5],
    ]);
    expect(seen[0]!.lastBus).toBe(5);
  });

  it('sees nothing where function 0 is absent', async () => {
    const { access, hosts } = simulate(machineOf([endpoint('hidden', '1e.1', [bar(2, 'mem64', 1n << 32n)])]));
    expect((await enumerate(access, hosts)).hosts[0]!.functions).toEqual([]);
  });

  it('follows an ARI list with forwarding switched on in the port above', async () => {
    const functions = [0, 1, 7, 8, 200].map((fn) => ({
      ...endpoint(`f${fn}`, '0', [bar(0, 'mem32', 0x1000n)]),
      slot: { device: 0, fn },
    }));
    const { access, hosts } = simulate(machineOf([bridge('rp', '1', 'root-port', functions)]));
    const { hosts: seen, findings } = await enumerate(access, hosts);
    const port = seen[0]!.functions[0]!.bridge!;
    expect(port.ari).toBe(true);
    expect(port.functions.map(({ at }) => at.fn)).toEqual([0, 1, 7, 8, 200]);
    expect(findings).toEqual([]);
  });

  it('knows that a QEMU port with io-reserve=0 has no I/O window: its registers are hardwired closed', async () => {
    const reserve = { buses: 2, io: 0x1000n, memory: 0n, prefetchable: 1n << 32n };
    const sim = simulate(machineOf([bridge('rp', '1', 'root-port', [], { io: 0, reserve, hotplug: 'pcie' })]), {
      qemuReservations: true,
      shape: ({ registers }) => {
        registers.define(0x1c, 2, 0x00f0);
        for (let at = 0x40; at < 0x100; at += 4) {
          if (registers.read(at, 1) === 9 && registers.read(at + 3, 1) === 1) registers.define(at + 8, 4, 0);
        }
      },
    });
    const { hosts } = await enumerate(sim.access, sim.hosts);
    const { bridge: port } = hosts[0]!.functions[0]!;
    expect(port!.reservation).toEqual({ buses: 2, io: 0n, prefetchable64: 1n << 32n });
    expect(port!.io).toBe(0);
  });

  it('needs few round trips for a tree of 64 functions', async () => {
    const ports = Array.from({ length: 24 }, (_, i) =>
      bridge(`rp${i}`, (i + 1).toString(16), 'root-port', [
        i < 4
          ? bridge(`up${i}`, '0', 'upstream-port', [
              bridge(`down${i}`, '0', 'downstream-port', [endpoint(`d${i}`, '0', [bar(0, 'mem64', 1n << 20n, true)])]),
            ])
          : endpoint(`d${i}`, '0', [bar(0, 'mem32', 4096n), bar(4, 'mem64', 1n << 20n, true)]),
      ]),
    );
    const root = Array.from({ length: 4 }, (_, i) =>
      endpoint(`r${i}`, (i + 26).toString(16), [bar(0, 'mem32', 4096n)]),
    );
    const sim = simulate(
      machineOf([
        ...ports,
        ...root,
        endpoint('m', '0.0', []),
        endpoint('n', '0.1', []),
        endpoint('o', '0.2', []),
        endpoint('p', '0.3', []),
      ]),
    );
    const { hosts } = await enumerate(sim.access, sim.hosts);
    const count = (fns: readonly SeenFunction[]): number =>
      fns.reduce((sum, fn) => sum + 1 + count(fn.bridge?.functions ?? []), 0);
    expect(count(hosts[0]!.functions)).toBe(64);
    expect({ batches: sim.count.batches, levels: 4 }).toMatchInlineSnapshot(`
      {
        "batches": 19,
        "levels": 4,
      }
    `);
    expect(sim.count.writes).toMatchInlineSnapshot(`589`);
  });

  it('says each finding in one sentence', () => {
    const text = findingText({
      at: { segment: 0, bus: 1, device: 0, fn: 0 },
      code: 'bus-numbers-not-kept',
      wrote: [0, 1, 1],
      read: [0, 0, 0],
    });
    expect(text).toBe(
      '0000:01:00.0: the bridge did not keep its bus numbers (wrote 0, 1, 1, read 0, 0, 0); what lies behind it is not seen',
    );
  });
});
