import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { configAccessContract } from '../../../test/contract/config-access.js';
import { anyMachine, bridge, endpoint, machineOf } from '../../../test/machines.js';
import { toMachine } from '../../enumerate/to-machine.js';
import type { Machine } from '../../machine/model.js';
import { pin } from '../../pin/pin.js';
import { Problem } from '../../problem/problem.js';
import type { SimFunction } from '../../sim/function.js';
import { simulate, type SimulatedMachine } from '../../sim/simulate.js';
import type { Transport } from '../physical-memory.js';
import { UndoLog } from './undo.js';

configAccessContract('with what undoes it', () => ({
  access: new UndoLog().access(
    simulate(machineOf([endpoint('dev', '1', [], { vendor: 0x8086, device: 0x9a1b })])).access,
  ),
  present: { at: { segment: 0, bus: 0, device: 1, fn: 0 }, vendor: 0x8086, device: 0x9a1b },
  absent: { segment: 0, bus: 0, device: 2, fn: 0 },
}));

/** Every dword of every function, reachable or not. */
function registersOf({ hosts }: SimulatedMachine): string[] {
  const all = (functions: readonly SimFunction[]): string[] =>
    functions.flatMap((fn) => {
      const dwords = Array.from({ length: fn.registers.size / 4 }, (_, i) => fn.registers.read(4 * i, 4).toString(16));
      return [`${fn.id} ${dwords.join(' ')}`, ...all(fn.children)];
    });
  return hosts.flatMap(({ functions }) => all(functions));
}

/** Pins by way of a log. */
const pinLogged = (sim: SimulatedMachine, machine: Machine, log: UndoLog) =>
  pin(log.access(sim.access), sim.hosts, (topology) => {
    const { hostBridges, ...rest } = machine;
    const base = { ...rest, windows: Object.fromEntries(hostBridges.map(({ id, windows }) => [id, windows])) };
    return toMachine(topology, base, { name: (fn) => sim.functionAt(fn.at)?.id });
  });

describe('a machine that was programmed', () => {
  it('is as it was before, once that is undone', async () => {
    let written = 0;
    await fc.assert(
      fc.asyncProperty(anyMachine, async (machine) => {
        const sim = simulate(machine);
        const before = registersOf(sim);
        const log = new UndoLog();
        try {
          await pinLogged(sim, machine, log);
        } catch (error) {
          // No plan: the registers were written all the same.
          if (!(error instanceof Problem)) throw error;
        }
        written += Number(registersOf(sim).join() !== before.join());
        await log.undo();
        expect(registersOf(sim)).toEqual(before);
      }),
      { numRuns: 60 },
    );
    expect(written).toBeGreaterThan(30);
  });

  it('with bus numbers that were changed in between', async () => {
    const dev = (id: string) => endpoint(id, '0', [{ index: 0, type: 'mem32', size: 0x1000n, prefetchable: false }]);
    const port = (n: number, pinned: object) =>
      bridge(`rp${n}`, `${n}`, 'root-port', [dev(`dev${n}`)], { pin: pinned });
    const machine = machineOf([port(1, { secondary: 7 }), port(2, { secondary: 1 })]);
    const sim = simulate(machine);
    const before = registersOf(sim);
    const log = new UndoLog();
    const access = log.access(sim.access);
    const at = (bus: number, device: number) => ({ segment: 0, bus, device, fn: 0 });
    const write = (bus: number, device: number, register: number, value: number) =>
      access.batch([{ kind: 'write', at: at(bus, device), register, width: 4, value }]);
    await write(0, 1, 0x18, 0x00_01_01_00);
    await write(1, 0, 0x10, 0x1000_0000);
    await write(0, 1, 0x18, 0x00_07_07_00);
    await write(0, 2, 0x18, 0x00_01_01_00);
    await write(1, 0, 0x10, 0x2000_0000);
    await log.undo();
    expect(registersOf(sim)).toEqual(before);
  });

  it('stays as it is, once that is wanted; a cancelled log lets nothing more through', async () => {
    const machine = machineOf([bridge('rp', '1', 'root-port', [endpoint('dev', '0', [])])]);
    const sim = simulate(machine);
    const log = new UndoLog();
    await pinLogged(sim, machine, log);
    log.keep();
    const programmed = registersOf(sim);
    await log.undo();
    expect(registersOf(sim)).toEqual(programmed);
    log.cancel(new Error('enough'));
    await expect(log.access(sim.access).batch([])).rejects.toThrow('enough');
  });
});

it('memory that was written is put back, the last first', async () => {
  const bytes = new Uint8Array(8).fill(7);
  const memory = {
    readBytes: (address: bigint, size: number) => Promise.resolve(bytes.slice(Number(address), Number(address) + size)),
    writeBytes: (address: bigint, data: Uint8Array) => {
      bytes.set(data, Number(address));
      return Promise.resolve();
    },
  } as unknown as Transport;
  const log = new UndoLog();
  const logged = log.memory(memory);
  await logged.writeBytes(0n, Uint8Array.of(1, 2, 3, 4));
  await logged.writeBytes(2n, Uint8Array.of(5, 6, 8, 9));
  expect([...bytes]).toEqual([1, 2, 5, 6, 8, 9, 7, 7]);
  await log.undo();
  expect([...bytes]).toEqual(Array(8).fill(7));
});
