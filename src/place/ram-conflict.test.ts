import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { faultsOf, machineOf, without } from '../../test/check/conflict.js';
import { GiB, MiB } from '../address/kinds.js';
import { AddressRange } from '../address/range.js';
import { RangeSet } from '../address/range-set.js';
import { machineFrom } from '../machine/load.js';
import type { Machine } from '../machine/model.js';
import { ramFault, ramLayouts } from '../machine/ram-layout.js';
import { place } from './place.js';
import type { Infeasible } from './plan.js';

const msi = { base: 0xfee0_0000, size: '1MiB', reason: 'MSI window of x86 hosts' };
const nic = { id: 'nic', slot: '1.0', bars: [{ index: 0, type: 'mem64', prefetchable: true, size: '128MiB' }] };
const machineWith = (machine: object, reserved: readonly object[] = [msi]): Machine =>
  machineFrom({ pinbar: 1, machine, reserved, hostBridges: [{ id: 'pcie.0', functions: [nic] }] }, 'test');

function conflictOf(machine: Machine): Infeasible {
  const result = place(machine);
  if (result.status !== 'infeasible') throw new Error(result.status);
  return result;
}

describe('RAM on a reserved range', () => {
  it('has no plan: who needs what, and layouts that fit', () => {
    const { conflict, remedies } = conflictOf(machineWith({ arch: 'riscv64', board: 'virt', ram: '4GiB' }));
    expect(conflict).toEqual({
      summary:
        'The machine has RAM at 0x80000000-0x17fffffff (4 GiB), which covers 0xfee00000-0xfeefffff, reserved: MSI window of x86 hosts. Guest RAM has to keep off it, wherever BARs lie: it may end at 0xfedfffff and go on at 0xfef00000.',
      constraints: [
        { kind: 'reserved', base: 0x8000_0000n, detail: '0x80000000-0x17fffffff is RAM' },
        { kind: 'reserved', base: 0xfee0_0000n, detail: '0xfee00000-0xfeefffff is reserved: MSI window of x86 hosts' },
      ],
    });
    expect(remedies.every(({ verified }) => verified)).toBe(true);
    expect(remedies.map(({ change }) => change)).toEqual([
      'start it with pinbar run --split-ram 1GiB+3GiB, which stock QEMU can do: RAM is then 0x80000000-0xbfffffff and 0x400000000-0x4bfffffff, the latter cut out of the 64-bit window',
      'use a board that splits its RAM at 0xc0000000 and goes on at 0x100000000 (RISE SE_01_005): machine.ram is then 0x80000000-0xbfffffff and 0x100000000-0x1bfffffff, as a list',
      'give the machine no more than 2030 MiB of RAM: 0x80000000-0xfedfffff',
      'give up the reserved range 0xfee00000-0xfeefffff (MSI window of x86 hosts), if no passed-through device needs it',
    ]);
  });

  it('that begins where the RAM does is one constraint with it, for both are known by their base', () => {
    const low = { base: '0x80000000', size: '1MiB', reason: 'test' };
    const machine = machineWith({ arch: 'riscv64', board: 'virt', ram: '4GiB' }, [low]);
    const { conflict } = conflictOf(machine);
    expect(conflict.constraints).toEqual([
      {
        kind: 'reserved',
        base: 0x8000_0000n,
        detail: '0x80000000-0x17fffffff is RAM, and 0x80000000-0x800fffff is reserved: test',
      },
    ]);
    expect(faultsOf(machine, conflict)).toEqual([]);
  });

  it('is named with the layout that its board can have by itself', () => {
    const rmrr = { base: 0x7b00_0000, size: '8MiB', reason: 'RMRR' };
    const { remedies } = conflictOf(machineWith({ arch: 'x86_64', board: 'q35', ram: '4GiB' }, [rmrr]));
    expect(remedies[0]?.change).toBe(
      'set the machine property max-ram-below-4g=1G: RAM is then 0x0-0x3fffffff and 0x100000000-0x1bfffffff',
    );
    expect(remedies.map(({ change }) => change).join()).not.toContain('split-ram');
  });

  it('is put beside a reserved range that lies at the bottom of the 64-bit window, too', () => {
    const high = { base: '0x400000000', size: '1GiB', reason: 'test' };
    const { remedies } = conflictOf(machineWith({ arch: 'riscv64', board: 'virt', ram: '4GiB' }, [msi, high]));
    expect(remedies[0]?.change).toContain('--split-ram 1GiB+3GiB@0x440000000');
  });

  it('is not offered what does not fit', () => {
    // The 64-bit window of riscv64 virt has 16 GiB.
    const { remedies } = conflictOf(machineWith({ arch: 'riscv64', board: 'virt', ram: '20GiB' }));
    expect(remedies.map(({ change }) => change.slice(0, 20))).toEqual([
      'use a board that spl',
      'give the machine no ',
      'give up the reserved',
    ]);
  });

  it('has a plan where a list of RAM leaves the range alone', () => {
    const ram = [
      { base: 0x8000_0000, size: '1GiB' },
      { base: '0x400000000', size: '4GiB' },
    ];
    const plan = place(machineWith({ arch: 'riscv64', board: 'virt', ram }));
    expect(plan).toMatchObject({ status: 'placed', functions: [{ bars: [{ address: 0x5_0000_0000n }] }] });
    const rise = [ram[0], { base: '0x100000000', size: '3GiB' }];
    expect(place(machineWith({ arch: 'riscv64', board: 'virt', ram: rise }))).toMatchObject({
      status: 'placed',
      functions: [{ bars: [{ address: 0x4_0000_0000n }] }],
    });
  });
});

it('RAM past the address bits has no plan', () => {
  const { conflict, remedies } = conflictOf(
    machineWith({ arch: 'aarch64', board: 'virt', ram: '600GiB', physicalAddressBits: 39 }, []),
  );
  expect(conflict.summary).toContain('39 physical address bits end at 0x7fffffffff');
  expect(conflict.constraints.map(({ kind }) => kind)).toEqual(['reserved', 'address-bits']);
  expect(remedies[0]?.change).toBe('give the machine no more than 511 GiB of RAM: 0x40000000-0x7fffffffff');
  expect(remedies[1]?.change).toBe('use a CPU with 40 physical address bits instead of 39');
});

describe('any machine', () => {
  const at = fc.tuple(fc.bigInt(0n, 24n), fc.bigInt(1n, 6n));
  const sized = at.map(([base, size]) => AddressRange.sized(base * 256n * MiB, size * 256n * MiB));
  const disjoint = fc.array(sized, { minLength: 1, maxLength: 3 }).map((list) => RangeSet.of(list).ranges);
  const machines = fc.record({
    ram: disjoint,
    reserved: fc.array(sized, { maxLength: 3 }),
    bits: fc.constantFrom(undefined, 32, 33),
  });
  const none = machineFrom(
    {
      pinbar: 1,
      machine: { arch: 'aarch64', ram: [] },
      hostBridges: [{ id: 'h', windows: [{ type: 'mem64', base: '0x200000000', size: '1GiB' }] }],
    },
    'test',
  );

  it('has no plan exactly where RAM is on something, and the two that are named are enough and needed', () => {
    fc.assert(
      fc.property(machines, ({ ram, reserved, bits }) => {
        const machine: Machine = {
          ...none,
          ram,
          physicalAddressBits: bits,
          reserved: reserved.map((range) => ({ range, reason: 'test' })),
        };
        const met = ram.some((one) => reserved.some((other) => one.base <= other.limit && other.base <= one.limit));
        const past = bits !== undefined && ram.some(({ limit }) => limit >= 2n ** BigInt(bits));
        const result = place(machine);
        expect(result.status).toBe(met || past ? 'infeasible' : 'placed');
        if (result.status !== 'infeasible') return;
        // A constraint names RAM and reserved ranges by their base alone.
        fc.pre(!ram.some(({ base }) => reserved.some((other) => other.base === base)));
        const { constraints } = result.conflict;
        expect(place(machineOf(machine, constraints)).status).toBe('infeasible');
        for (const one of constraints) {
          const rest = without(machine, constraints, one, false);
          const bitsMatter = constraints.some(({ kind }) => kind === 'address-bits');
          expect(place(bitsMatter ? rest : { ...rest, physicalAddressBits: undefined }).status).toBe('placed');
        }
      }),
    );
  });

  it('is offered layouts with all of its RAM, none of it on anything else of it', () => {
    const boards = fc.constantFrom(['riscv64', 'virt'], ['aarch64', 'virt'], ['x86_64', 'q35'], ['x86_64', 'pc']);
    fc.assert(
      fc.property(boards, fc.integer({ min: 1, max: 48 }), sized, ([arch, board], ram, range) => {
        const machine = {
          ...machineWith({ arch, board, ram: `${ram * 512}MiB` }, []),
          reserved: [{ range, reason: 'test' }],
        };
        const fault = ramFault(machine);
        if (!fault) return;
        for (const layout of ramLayouts(machine, fault)) {
          const pieces = [...layout.machine.ram].sort((a, b) => (a.base < b.base ? -1 : 1));
          pieces.forEach((piece, i) => expect(pieces[i + 1]?.overlaps(piece) ?? false).toBe(false));
          const all = pieces.reduce((sum, { size }) => sum + size, 0n);
          if (layout.change.startsWith('give the machine')) expect(all < BigInt(ram) * 512n * MiB).toBe(true);
          else expect(all).toBe(BigInt(ram) * 512n * MiB);
          // A PC's second piece may meet a range above 4 GiB; such a layout does not verify.
          if (arch !== 'x86_64') expect(pieces.some((piece) => piece.overlaps(range))).toBe(false);
          if (layout.change.includes('split-ram')) {
            const windows = layout.machine.hostBridges[0]?.windows ?? [];
            const window = windows.find(({ type }) => type === 'mem64');
            expect(AddressRange.sized(window?.base ?? 0n, window?.size ?? 1n).covers(pieces[1] ?? range)).toBe(true);
            expect(window?.base).toBe(arch === 'riscv64' ? 16n * GiB : 512n * GiB);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
