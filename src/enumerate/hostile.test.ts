import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bar, bridge, endpoint, machineOf } from '../../test/machines.js';
import type { MachineFunction } from '../machine/model.js';
import { allOnes, type ConfigAccess, type ConfigOp } from '../pci/config-access.js';
import type { SimFunction } from '../sim/function.js';
import { simulate } from '../sim/simulate.js';
import { enumerate } from './enumerate.js';
import { findingText } from './findings.js';
import { toMachine } from './to-machine.js';
import { allFunctions, type Topology } from './topology.js';

const codes = ({ findings }: Topology) => findings.map(({ code }) => code);

/** A machine whose one device was shaped by the test. */
async function withDevice(shape: (fn: SimFunction) => void, bars: MachineFunction['bars'] = []) {
  const sim = simulate(machineOf([endpoint('dev', '1', bars), endpoint('good', '2', [bar(0, 'mem32', 0x1000n)])]), {
    shape: (fn) => {
      if (fn.id === 'dev') shape(fn);
    },
  });
  return enumerate(sim.access, sim.hosts);
}

/** An access that answers by a function, and counts. */
function answering(answer: (op: ConfigOp) => number): ConfigAccess & { ops: number } {
  const access = {
    source: 'sim' as const,
    writable: true,
    ops: 0,
    batch: (ops: readonly ConfigOp[]) => {
      access.ops += ops.length;
      return Promise.resolve(ops.map((op) => (op.kind === 'write' ? 0 : answer(op))));
    },
  };
  return access;
}

const host = { id: 'pcie.0', segment: 0, buses: [0, 255] } as const;

describe('a hostile device', () => {
  it('with a BAR that has no read-only bit is a finding, and the value comes back', async () => {
    let seen: SimFunction | undefined;
    const topology = await withDevice((fn) => {
      fn.registers.define(0x10, 4, 0x1234_5670, 0xffff_ffff);
      seen = fn;
    });
    expect(codes(topology)).toEqual(['bar-type-changed']);
    expect(seen!.registers.read(0x10, 4)).toBe(0x1234_5670);
    expect(allFunctions(topology)[1]!.bars).toHaveLength(1);
  });

  it('that keeps decoding on is not sized: its BARs would cover others', async () => {
    const topology = await withDevice((fn) => void fn.registers.define(4, 2, 2), [bar(0, 'mem32', 0x1000n)]);
    expect(codes(topology)).toEqual(['command-not-kept']);
  });

  it('with a looping capability list is read as far as it goes', async () => {
    const topology = await withDevice((fn) => void fn.registers.define(fn.at.express + 1, 1, fn.at.express));
    expect(codes(topology)).toEqual(['capability-chain-broken']);
    expect(allFunctions(topology)[0]!.capabilities.map(({ kind }) => kind)).toEqual(['express']);
  });

  it('with a header type of its own is left alone', async () => {
    const topology = await withDevice((fn) => void fn.registers.define(0x0e, 1, 0x55), [bar(0, 'mem32', 0x1000n)]);
    expect(codes(topology)).toEqual(['header-type']);
    expect(allFunctions(topology)[0]!.bars).toEqual([]);
  });

  it('that goes away between two reads is taken as absent', async () => {
    const topology = await enumerate(
      answering(({ at, register, width }) =>
        register === 0 && at.bus === 0 && at.device === 3 && at.fn === 0 ? 0x1234_5678 : allOnes(width),
      ),
      [host],
    );
    expect(codes(topology)).toEqual(['vanished']);
    expect(allFunctions(topology)).toEqual([]);
  });

  it('that only asks to be retried is taken as absent', async () => {
    const topology = await enumerate(
      answering(({ register, at }) => (register === 0 && at.device === 0 ? 0xffff_0001 : 0xffff_ffff)),
      [host],
    );
    expect(codes(topology)).toEqual(['config-retry']);
  });
});

describe('hostile bridges', () => {
  const port = (id: string, slot: string) => bridge(id, slot, 'root-port', [endpoint(`${id}-dev`, '0', [])]);

  it('that do not keep bus numbers are findings, and the others are found behind theirs', async () => {
    const sim = simulate(machineOf([port('stuck', '1'), port('good', '2')]), {
      shape: (fn) => {
        if (fn.id === 'stuck') fn.registers.define(0x18, 4, 0);
      },
    });
    const topology = await enumerate(sim.access, sim.hosts);
    expect(codes(topology)).toEqual(['bus-numbers-not-kept']);
    const [stuck, good] = topology.hosts[0]!.functions;
    expect(stuck!.bridge).toMatchObject({ secondary: 0, subordinate: 0, functions: [] });
    expect(good!.bridge!.functions.map(({ at }) => at.bus)).toEqual([1]);
    expect(sim.functionAt({ segment: 0, bus: 1, device: 0, fn: 0 })!.id).toBe('good-dev');
  });

  it('that are more than there are buses are left without a number', async () => {
    const inner = Array.from({ length: 32 }, (_, i) =>
      bridge(`b${i}`, i.toString(16), 'pci-bridge', [endpoint(`d${i}`, '0', [])]),
    );
    const outer = Array.from({ length: 9 }, (_, i) =>
      bridge(
        `o${i}`,
        (i + 1).toString(16),
        'pcie-pci-bridge',
        inner.map((fn) => ({ ...fn, id: `o${i}${fn.id}` })),
      ),
    );
    const sim = simulate(machineOf(outer));
    const topology = await enumerate(sim.access, sim.hosts);
    expect(topology.hosts[0]!.lastBus).toBe(255);
    expect(codes(topology)).toEqual(Array(9 + 9 * 32 - 255).fill('no-bus-left'));
    expect(findingText(topology.findings[0]!)).toContain('no bus number is left for this bridge in 0-255');
  });

  it('whose numbers make a loop are followed once when nothing may be written', async () => {
    const sim = simulate(
      machineOf([bridge('a', '1', 'root-port', [bridge('b', '0', 'pci-bridge', [])]), port('c', '2')]),
    );
    const at = (bus: number, device: number) => ({ segment: 0, bus, device, fn: 0 });
    sim.functionAt(at(0, 1))!.registers.force(0x18, 4, 0x00_05_01_00);
    sim.functionAt(at(1, 0))!.registers.force(0x18, 4, 0x00_05_01_01);
    sim.functionAt(at(0, 2))!.registers.force(0x18, 4, 0x00_00_00_00);
    const topology = await enumerate({ ...sim.access, source: 'dump', writable: false }, sim.hosts);
    expect(codes(topology)).toEqual(['bus-numbers-unusable']);
    expect(sim.count.writes).toBe(0);
  });
});

describe('hostile machines', () => {
  it('where everything answers everywhere end at the limit', async () => {
    const access = answering(({ register, width }) =>
      register === 0x0c ? 0x0080_0000 : width === 4 ? 0x1234_5678 : 0x80,
    );
    const topology = await enumerate(access, [host], { maxFunctions: 100 });
    expect(allFunctions(topology).length).toBeLessThanOrEqual(100);
    expect(codes(topology)).toContain('too-many-functions');
    expect(access.ops).toBeLessThan(60_000);
  });

  it('where every function is a bridge that answers anything end, too', async () => {
    const access = answering(({ register }) =>
      register === 0x0c ? 0x0001_0000 : register === 0x18 ? 0x00_01_01_00 : 0x1111_1111,
    );
    const topology = await enumerate(access, [host], { maxFunctions: 2000 });
    expect(allFunctions(topology).length).toBeLessThanOrEqual(2000);
  });

  it('with any registers at all end without an error, and every finding is a sentence', async () => {
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.nat({ max: 0xffff_ffff })), async (noise: Iterator<number, unknown>) => {
        const access = answering(({ width, register }) => {
          const value = Number(noise.next().value);
          // Most first dwords are a plausible vendor id, or little would be found.
          return ((register === 0 ? value & 0x1fff : value) & allOnes(width)) >>> 0;
        });
        const topology = await enumerate(access, [host], { maxFunctions: 60 });
        for (const finding of topology.findings)
          expect(findingText(finding)).toMatch(/^0000:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]: .+/);
      }),
      { numRuns: 10 },
    );
  });

  it('that are captures have no sizes, and the machine cannot be made of them', async () => {
    const sim = simulate(machineOf([endpoint('dev', '1', [bar(0, 'mem32', 0x1000n)])]));
    sim.functionAt({ segment: 0, bus: 0, device: 1, fn: 0 })!.registers.force(0x10, 4, 0x2000_0000);
    const topology = await enumerate({ ...sim.access, source: 'dump', writable: false }, sim.hosts);
    expect(allFunctions(topology)[0]!.bars).toEqual([
      { index: 0, type: 'mem32', prefetchable: false, size: null, address: 0x2000_0000n },
    ]);
    const { hostBridges, ...base } = machineOf([]);
    const windows = { 'pcie.0': hostBridges[0]!.windows };
    expect(() => toMachine(topology, { ...base, windows })).toThrow('0000:00:01.0: the size of BAR 0 is not known');
  });
});
