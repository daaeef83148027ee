import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { contractMachine } from '../../test/support/contract.js';
import { head, mistakes, withFunctions } from '../../test/support/machine-mistakes.js';
import { AddressRange } from '../address/range.js';
import { GiB, KiB, MiB, TiB } from '../address/kinds.js';
import { loadMachine, machineFrom } from './load.js';
import { eachFunction } from './model.js';

describe('a machine file', () => {
  it('of the contract is read, every value', async () => {
    const machine = await loadMachine(contractMachine, 'contract.yaml');
    expect(machine).toMatchObject({
      arch: 'aarch64',
      board: 'virt',
      ram: [AddressRange.sized(0x4000_0000n, 4n * GiB)],
      physicalAddressBits: 48,
      properties: { 'highmem-mmio-size': '64TiB' },
      allowNonPrefetchableInPrefetchable: false,
      reserved: [{ range: AddressRange.sized(0x800_0000n, MiB), reason: "MSI window of the host's SMMU" }],
    });
    const [host] = machine.hostBridges;
    expect(host).toMatchObject({ id: 'pcie.0', segment: 0, buses: [0, 255] });
    expect(host?.windows).toEqual([
      { type: 'io', base: 0n, size: 64n * KiB, cpuBase: 0x3eff_0000n },
      { type: 'mem32', base: 0x1000_0000n, size: 0x2eff_0000n, cpuBase: 0x1000_0000n },
      { type: 'mem64', base: 0x4000_0000_0000n, size: 64n * TiB, cpuBase: 0x4000_0000_0000n },
    ]);
    const [rp1, dev0] = [...eachFunction(host?.functions ?? [])];
    expect(rp1?.parent).toBeNull();
    expect(rp1?.fn).toMatchObject({
      id: 'rp1',
      slot: { device: 1, fn: 0 },
      vendor: 0x1b36,
      device: 0x000c,
      class: 0x060400,
      bars: [{ index: 0, type: 'mem32', prefetchable: false, size: 4n * KiB }],
      bridge: {
        kind: 'root-port',
        io: 32,
        prefetchable: 64,
        hotplug: 'pcie',
        reserve: { buses: 0, io: 0n, memory: 0n, prefetchable: 0n },
        pin: { secondary: 1, prefetchable: AddressRange.sized(0x6b80_0000_0000n, 2n * TiB) },
      },
    });
    expect(dev0?.parent?.id).toBe('rp1');
    expect(dev0?.fn.bars.map(({ index, size, pin }) => [index, size, pin])).toEqual([
      [0, 16n * MiB, undefined],
      [2, 256n * GiB, 0x6b80_0000_0000n],
      [4, 32n * MiB, 0x6c80_0000_0000n],
    ]);
    expect(dev0?.fn).toMatchObject({
      rom: { size: 512n * KiB },
      sriov: { totalVfs: 8, firstVfOffset: 1, vfStride: 1, bars: [{ index: 0, size: 16n * MiB }] },
    });
  });

  it('is the same as JSON, and as a value', async () => {
    const { parse } = await import('yaml');
    const value = parse(contractMachine) as unknown;
    const machine = await loadMachine(contractMachine, 'contract.yaml');
    expect(await loadMachine(JSON.stringify(value), 'contract.json')).toEqual(machine);
    expect(await loadMachine(JSON.stringify(value, null, 2), 'contract.json')).toEqual(machine);
    expect(machineFrom(value, 'a value')).toEqual(machine);
  });

  it('of the examples is read', async () => {
    const text = await readFile('examples/gpu-and-nic.pinbar.yaml', 'utf8');
    const machine = await loadMachine(text, 'example');
    expect([...eachFunction(machine.hostBridges[0]?.functions ?? [])].map(({ fn }) => fn.id)).toEqual([
      ...['rp1', 'up', 'down0', 'gpu0', 'down1', 'nic0'],
    ]);
  });

  it('may leave nearly all of it out', async () => {
    const machine = await loadMachine(head, 'm.yaml');
    expect(machine.hostBridges).toMatchObject([{ id: 'pcie.0', segment: 0, buses: [0, 255], functions: [] }]);
    expect(machine.physicalAddressBits).toBeUndefined();
    const [fn] =
      (await loadMachine(withFunctions('      - { id: a, slot: "3", bridge: { kind: pci-bridge } }'), 'm.yaml'))
        .hostBridges[0]?.functions ?? [];
    expect(fn).toEqual({
      id: 'a',
      slot: { device: 3, fn: 0 },
      bars: [],
      bridge: {
        kind: 'pci-bridge',
        io: 16,
        prefetchable: 64,
        hotplug: 'none',
        reserve: { buses: 0, io: 0n, memory: 0n, prefetchable: 0n },
        pin: {},
        functions: [],
      },
    });
  });

  it('is put in order: RAM, slots, BARs', async () => {
    const machine = await loadMachine(
      `pinbar: 1
machine: { arch: x86_64, board: none, ram: [{ base: 4GiB, size: 1GiB }, { base: 0, size: 2GiB }] }
hostBridges:
  - id: h
    windows: []
    functions:
      - { id: b, slot: "1.1", bars: [{ index: 4, type: io, size: 16 }, { index: 0, type: mem64, size: 16 }] }
      - { id: a, slot: "0.7" }
`.replace('base: 4GiB', 'base: 0x100000000'),
      'm.yaml',
    );
    expect(machine.ram.map(String)).toEqual(['0x0-0x7fffffff', '0x100000000-0x13fffffff']);
    expect(machine.hostBridges[0]?.functions.map(({ id, bars }) => [id, ...bars.map(({ index }) => index)])).toEqual([
      ['a'],
      ['b', 0, 4],
    ]);
  });
});

describe('numbers', () => {
  const base = (value: string) => `pinbar: 1\nmachine: { arch: aarch64, ram: [{ base: ${value}, size: 1 }] }\n`;
  const json = (value: string) => `{"pinbar":1,"machine":{"arch":"aarch64","ram":[{"base":${value},"size":1}]}}`;

  it.each(['9007199254740991', '9007199254740992', '9007199254740993', '18446744073709551615'])(
    '%s is exact, in YAML and in JSON',
    async (digits) => {
      for (const text of [base(digits), json(digits), base(`"${digits}"`), json(`"${digits}"`)]) {
        expect((await loadMachine(text, 'm')).ram[0]?.base).toBe(BigInt(digits));
      }
    },
  );

  it('a property is exact as well', async () => {
    const text = '{"pinbar":1,"machine":{"arch":"riscv64","ram":[],"properties":{"x":9007199254740993,"y":true}}}';
    expect((await loadMachine(text, 'm')).properties).toEqual({ x: 9007199254740993n, y: true });
  });

  it.each([
    ['18446744073709551616', '18446744073709551616 is not an address of at most 64 bits'],
    ['-1', '-1 is not an address of at most 64 bits'],
    ['1.5', '1.5 is not a whole number of bytes'],
    ['.inf', 'Infinity is not a whole number of bytes'],
    ['1e400', 'Infinity is not a whole number of bytes'],
    ['.nan', 'expected'],
    ['99999999999999999999999999999999999999999999999999', 'is not an address'],
    ['true', 'expected a string or a number, found true'],
    ['null', 'expected a string or a number, found nothing'],
    ['[1]', 'expected a string or a number, found a list'],
  ])('%s is no address', async (value, message) => {
    const found = await mistakes(base(value));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^2:\d+ machine-schema: machine\.ram\[0\]\.base: /);
    expect(found[0]).toContain(message);
  });
});
