import { describe, expect, it } from 'vitest';
import { bar, bridge, endpoint, machineOf } from '../../test/machines.js';
import { AddressRange } from '../address/range.js';
import { GiB, KiB, MiB } from '../address/kinds.js';
import { eachFunction, noReserve, type Bridge, type Machine, type MachineFunction } from '../machine/model.js';
import { applyMachineFile, applyPins, type Pin, type PinTarget } from './pins.js';

const vfs = {
  totalVfs: 4,
  firstVfOffset: 1,
  vfStride: 1,
  bars: [bar(0, 'mem64', MiB, true), bar(2, 'mem64', MiB, true)],
};
const dev0 = endpoint('dev0', '0.0', [bar(0, 'mem32', 4n * KiB), bar(2, 'mem64', 64n * MiB, true)], {
  rom: { size: 64n * KiB },
  sriov: vfs,
});
const found = machineOf([bridge('rp1', '1.0', 'root-port', [dev0]), endpoint('net', '2.0', [])]);

const pin = (id: string, target: PinTarget, address: bigint): Pin => ({ id, target, address, source: `--pin ${id}` });
const functionOf = (machine: Machine, id: string): MachineFunction => {
  for (const host of machine.hostBridges)
    for (const { fn } of eachFunction(host.functions)) if (fn.id === id) return fn;
  throw new Error(`no function ${id}`);
};
const problem = (code: string, message: string, hint?: string) =>
  expect.objectContaining({ code, exit: 1, message, ...(hint === undefined ? {} : { hint }) }) as Error;

describe('pins', () => {
  it('reach BARs, ROM and VF groups, behind bridges too, and leave everything else as it was', () => {
    const pinned = applyPins(found, [
      pin('dev0', 0, 0x1000_0000n),
      pin('dev0', 2, 0x4000_0000_0000n),
      pin('dev0', 'rom', 0x1100_0000n),
      pin('dev0', 'vf2', 0x4100_0000_0000n),
    ]);
    expect(functionOf(pinned, 'dev0')).toEqual({
      ...dev0,
      bars: [
        { ...dev0.bars[0], pin: 0x1000_0000n },
        { ...dev0.bars[1], pin: 0x4000_0000_0000n },
      ],
      rom: { size: 64n * KiB, pin: 0x1100_0000n },
      sriov: { ...vfs, bars: [vfs.bars[0], { ...vfs.bars[1], pin: 0x4100_0000_0000n }] },
    });
    expect(functionOf(pinned, 'net')).toBe(functionOf(found, 'net'));
    expect(functionOf(found, 'dev0')).toBe(dev0);
    expect(applyPins(found, [])).toEqual(found);
  });

  it('the same one twice is one', () => {
    const twice = applyPins(found, [pin('dev0', 0, 0x10n), pin('dev0', 0, 0x10n)]);
    expect(functionOf(twice, 'dev0').bars[0]?.pin).toBe(0x10n);
  });

  it.each<[string, Pin[], Error]>([
    [
      'an unknown id',
      [pin('dve0', 0, 0n)],
      problem('pin-unknown-id', '--pin dve0: the machine has no PCI function with id dve0', 'did you mean dev0?'),
    ],
    [
      'a BAR that is not there',
      [pin('dev0', 5, 0n)],
      problem(
        'pin-unknown-bar',
        '--pin dev0: dev0 has no BAR 5',
        'it has bar0 (mem32, 4 KiB), bar2 (mem64 prefetchable, 64 MiB), rom (64 KiB), vf0 (1 MiB per VF), vf2 (1 MiB per VF)',
      ),
    ],
    [
      'the upper half of a BAR',
      [pin('dev0', 3, 0n)],
      problem('pin-unknown-bar', '--pin dev0: dev0 has no BAR 3: that register is the upper half of BAR 2'),
    ],
    [
      'the upper half of a VF BAR',
      [pin('dev0', 'vf3', 0n)],
      problem('pin-unknown-bar', '--pin dev0: dev0 has no VF BAR 3: that register is the upper half of VF BAR 2'),
    ],
    [
      'a function without BARs',
      [pin('net', 0, 0n)],
      problem('pin-unknown-bar', '--pin net: net has no BAR 0', 'it has no BAR at all'),
    ],
    ['a ROM that is not there', [pin('net', 'rom', 0n)], problem('pin-unknown-bar', '--pin net: net has no ROM')],
    ['VFs that are not there', [pin('net', 'vf0', 0n)], problem('pin-unknown-bar', '--pin net: net has no VF BAR 0')],
    [
      'one BAR at two addresses',
      [pin('dev0', 0, 0x1000n), pin('dev0', 0, 0x2000n)],
      problem(
        'pin-twice',
        '--pin dev0: dev0 BAR 0 is pinned at 0x2000 here, and at 0x1000 elsewhere',
        'keep one of the two',
      ),
    ],
    [
      'one ROM at two addresses',
      [pin('dev0', 'rom', 0x1000n), pin('dev0', 'rom', 0x2000n)],
      problem('pin-twice', '--pin dev0: dev0 ROM is pinned at 0x2000 here, and at 0x1000 elsewhere'),
    ],
  ])('%s is refused', (_, pins, error) => {
    expect(() => applyPins(found, pins)).toThrow(error);
  });
});

describe('a machine file', () => {
  const file = (functions: readonly MachineFunction[], more: Partial<Machine> = {}) => machineOf(functions, more);
  const merge = (machine: Machine) => applyMachineFile(found, machine, 'm.yaml');

  it('gives pins to the functions of the same id, wherever they sit', () => {
    const wanted = file([
      endpoint('dev0', '7.0', [{ ...bar(2, 'mem64', 64n * MiB, true), pin: 0x4000_0000_0000n }], {
        rom: { size: 64n * KiB, pin: 0x1000_0000n },
        sriov: { ...vfs, bars: [{ ...bar(0, 'mem64', MiB, true), pin: 0x4100_0000_0000n }] },
      }),
    ]);
    const merged = functionOf(merge(wanted), 'dev0');
    expect(merged.slot).toEqual(dev0.slot);
    expect(merged.bars.map((one) => one.pin)).toEqual([undefined, 0x4000_0000_0000n]);
    expect(merged.rom?.pin).toBe(0x1000_0000n);
    expect(merged.sriov?.bars.map((one) => one.pin)).toEqual([0x4100_0000_0000n, undefined]);
  });

  it('gives bridges their pins and room for hotplug, and keeps what lies behind them', () => {
    const more: Partial<Bridge> = {
      pin: { secondary: 5, memory: AddressRange.sized(0x1000_0000n, MiB) },
      reserve: { ...noReserve, buses: 3 },
    };
    const merged = functionOf(merge(file([bridge('rp1', '1.0', 'root-port', [], more)])), 'rp1');
    expect(merged.bridge).toMatchObject(more);
    expect(merged.bridge?.functions).toEqual([dev0]);
  });

  it('adds reserved ranges, limits and permissions', () => {
    const reserved = [{ range: AddressRange.sized(0n, GiB), reason: 'because' }];
    const merged = merge(file([], { reserved, physicalAddressBits: 40, allowNonPrefetchableInPrefetchable: true }));
    expect(merged).toMatchObject({ reserved, physicalAddressBits: 40, allowNonPrefetchableInPrefetchable: true });
    expect(merge(file([], { physicalAddressBits: undefined })).physicalAddressBits).toBe(found.physicalAddressBits);
  });

  it.each<[string, MachineFunction, Error]>([
    [
      'an unknown id',
      endpoint('dev9', '0.0', []),
      problem(
        'machine-file-unknown-id',
        'm.yaml describes dev9, and the machine has no PCI function with that id',
        'did you mean dev0?',
      ),
    ],
    [
      'another size',
      endpoint('dev0', '0.0', [bar(0, 'mem32', 8n * KiB)]),
      problem('machine-file-differs', 'dev0 BAR 0 is mem32 8 KiB in m.yaml, and mem32 4 KiB in the machine'),
    ],
    [
      'another type',
      endpoint('dev0', '0.0', [bar(2, 'mem64', 64n * MiB)]),
      problem(
        'machine-file-differs',
        'dev0 BAR 2 is mem64 64 MiB in m.yaml, and mem64 prefetchable 64 MiB in the machine',
      ),
    ],
    [
      'a BAR that is not there',
      endpoint('net', '0.0', [bar(0, 'io', 32n)]),
      problem('machine-file-differs', 'net BAR 0 is io 32 bytes in m.yaml, and does not exist in the machine'),
    ],
    [
      'a ROM of another size',
      endpoint('dev0', '0.0', [], { rom: { size: 2n * KiB } }),
      problem('machine-file-differs', 'dev0 ROM is 2 KiB in m.yaml, and 64 KiB in the machine'),
    ],
    [
      'a bridge where there is none',
      bridge('net', '2.0', 'root-port', []),
      problem('machine-file-differs', 'net is a bridge in m.yaml, and none in the machine'),
    ],
    [
      'no bridge where there is one',
      endpoint('rp1', '1.0', []),
      problem('machine-file-differs', 'rp1 is no bridge in m.yaml, and a bridge in the machine'),
    ],
  ])('with %s is refused', (_, fn, error) => {
    expect(() => merge(file([fn]))).toThrow(error);
  });

  it('and --pin may not ask for two addresses', () => {
    const both = merge(file([endpoint('dev0', '0.0', [{ ...bar(0, 'mem32', 4n * KiB), pin: 0x1000n }])]));
    expect(() => applyPins(both, [pin('dev0', 0, 0x2000n)])).toThrow(
      problem('pin-twice', '--pin dev0: dev0 BAR 0 is pinned at 0x2000 here, and at 0x1000 elsewhere'),
    );
    expect(applyPins(both, [pin('dev0', 0, 0x1000n)])).toEqual(both);
  });
});
