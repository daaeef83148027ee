import { Ajv2020 } from 'ajv/dist/2020.js';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AddressRange } from '../address/range.js';
import { machineFrom } from '../machine/load.js';
import type { Machine } from '../machine/model.js';
import { place } from '../place/place.js';
import { leftAlone, toldToKeep } from './against.js';
import { guestNames, guestsFor, parseGuests, predict } from './predict.js';
import { predictionToJson } from './prediction-json.js';

const virt = (functions: unknown[]): Machine =>
  machineFrom(
    {
      pinbar: 1,
      machine: { arch: 'aarch64', board: 'virt', ram: '1GiB' },
      hostBridges: [{ id: 'pcie.0', segment: 0, buses: [0, 255], windows: windows, functions }],
    },
    'test',
  );
const windows = [
  { type: 'io', base: 0, size: '64KiB', cpuBase: 0x3eff0000 },
  { type: 'mem32', base: 0x10000000, size: 0x2eff0000 },
  { type: 'mem64', base: '0x8000000000', size: '512GiB' },
];
const at = (machine: Machine, guests: string) => {
  const { functions, unplaced, status } = predict(machine, parseGuests(guests));
  const addresses = functions.flatMap(({ id, bars }) =>
    bars.map(({ index, address }) => `${id}.${index}@${address.toString(16)}`),
  );
  return { status, addresses, unplaced: unplaced.map(({ id, bar, reason }) => `${id} ${bar}: ${reason}`) };
};

describe('predict', () => {
  it('says of the 512 MiB BAR what each kernel says', () => {
    const fpga = virt([
      {
        id: 'fpga',
        slot: '9.0',
        class: 0x120000,
        bars: [
          { index: 0, type: 'mem32', size: '4KiB' },
          { index: 1, type: 'mem32', size: '512MiB' },
        ],
      },
    ]);
    expect(at(fpga, 'linux-6.1').unplaced).toEqual(['fpga 1: BAR 1: no space for [mem size 0x20000000]']);
    expect(at(fpga, 'linux-6.12')).toEqual({
      status: 'partial',
      addresses: ['fpga.0@10000000'],
      unplaced: ["fpga 1: BAR 1 [mem size 0x20000000]: can't assign; no space"],
    });
  });

  it('lets EDK2 empty a root bus whose function cannot be given up, and reject one behind a port', () => {
    const large = { id: 'large', slot: '1.0', class: 0x120000, bars: [{ index: 0, type: 'mem32', size: '512MiB' }] };
    const small = { id: 'small', slot: '2.0', class: 0x020000, bars: [{ index: 0, type: 'mem32', size: '4KiB' }] };
    expect(at(virt([large, small]), 'edk2-2022.11').addresses).toEqual([]);
    const port = {
      id: 'rp',
      slot: '1.0',
      class: 0x060400,
      bridge: { kind: 'root-port', functions: [{ ...large, slot: '0.0' }] },
    };
    const behind = at(virt([port, small]), 'edk2-2022.11');
    expect(behind.addresses).toEqual(['small.0@10000000']);
    expect(behind.unplaced).toEqual(['large 0: was rejected due to resource confliction']);
  });

  it('hands out as U-Boot does: in order, upwards, never below 0x1000, never above 4 GiB', () => {
    const bar = (index: number, type: string, size: string) => ({ index, type, size, prefetchable: type === 'mem64' });
    const machine = virt([
      { id: 'a', slot: '1.0', bars: [bar(0, 'mem32', '4KiB'), bar(1, 'io', '256'), bar(2, 'mem64', '64MiB')] },
      {
        id: 'rp',
        slot: '2.0',
        bars: [bar(0, 'mem32', '4KiB')],
        bridge: {
          kind: 'root-port',
          functions: [
            { id: 'b', slot: '0.0', bars: [bar(0, 'mem32', '4KiB'), bar(1, 'io', '256'), bar(2, 'mem64', '128MiB')] },
          ],
        },
      },
      { id: 'c', slot: '3.0', bars: [bar(0, 'mem32', '4KiB'), bar(1, 'io', '256'), bar(2, 'mem64', '2GiB')] },
      // The upper half of a BAR that finds no room is taken for one of 16 bytes, in the one page before the next.
      { id: 'd', slot: '4.0', bars: [bar(0, 'mem64', '64GiB'), bar(2, 'mem32', '4KiB')] },
    ]);
    // As Debian's U-Boot 2023.01 and 2025.01 leave it on QEMU 10.0, but for d.
    expect(at(machine, 'uboot')).toEqual({
      status: 'partial',
      addresses: [
        'a.0@10000000',
        'a.1@1000',
        'a.2@14000000',
        'rp.0@18000000',
        'c.0@28000000',
        'c.1@3000',
        'd.2@28002000',
        'b.0@18100000',
        'b.1@2000',
        'b.2@20000000',
      ],
      unplaced: ['c 2: PCI: Failed autoconfig bar 18', 'd 0: PCI: Failed autoconfig bar 10'],
    });
    expect(predict(machine, parseGuests('uboot')).bridges).toMatchObject([
      { id: 'rp', secondary: 1, subordinate: 1, prefetchable: null },
    ]);
  });

  it('takes the newest model that is not newer than what is asked for', () => {
    const model = (name: string) => parseGuests(name).firmware?.model;
    expect(
      ['edk2', 'edk2-2024.02', 'edk2-2020.11', 'edk2-2030.01', 'seabios-1.16', 'seabios-1.16.9', 'uboot-2023.01'].map(
        model,
      ),
    ).toEqual(['edk2-2026.08', 'edk2-2022.11', 'edk2-2022.11', 'edk2-2026.08', 'seabios', 'seabios-1.16.3', 'uboot']);
    expect(() => parseGuests('edk3')).toThrow(/no model/);
    expect(() => parseGuests('edk2-new')).toThrow(/no model/);
  });

  it.each(['4GiB', '8GiB'])('says that OVMF stops where %s of RAM fill all below 4 GiB', (ram) => {
    const machine = machineFrom(
      {
        pinbar: 1,
        machine: { arch: 'x86_64', board: 'none', ram: [{ base: 0, size: ram }] },
        hostBridges: [
          {
            id: 'pcie.0',
            segment: 0,
            buses: [0, 255],
            windows: [{ type: 'mem64', base: '0x8000000000', size: '1GiB' }],
            functions: [{ id: 'd', slot: '1.0', bars: [{ index: 0, type: 'mem64', size: '4KiB' }] }],
          },
        ],
      },
      'test',
    );
    for (const name of guestsFor(machine)) expect(() => predict(machine, parseGuests(name)), name).not.toThrow();
    for (const name of ['ovmf-2022.11', 'ovmf', 'ovmf,linux-6.1'])
      expect(predict(machine, parseGuests(name)).stopped, name).toMatch(/^RAM at .* reaches into its window/);
  });

  it('stops OVMF where what is reserved reaches from low addresses to the end', () => {
    const reserved = [{ range: AddressRange.of(0x1000n, 0xffffffffffn), reason: 'test' }];
    const machine: Machine = { ...virt([]), arch: 'x86_64', board: 'q35', ram: [], reserved };
    expect(predict(machine, parseGuests('ovmf')).stopped).toMatch(/reserved leaves no room/);
  });

  it('stops where SeaBIOS halts', () => {
    const machine = machineFrom(
      {
        pinbar: 1,
        machine: { arch: 'x86_64', board: 'q35', ram: '1GiB' },
        hostBridges: [
          {
            id: 'pcie.0',
            segment: 0,
            buses: [0, 255],
            windows: [{ type: 'mem32', base: 0xc0000000, size: 0x3ec00000 }],
            functions: [1, 2, 3].map((slot) => ({
              id: `d${slot}`,
              slot: `${slot}.0`,
              bars: [{ index: 0, type: 'mem32', size: '512MiB' }],
            })),
          },
        ],
      },
      'test',
    );
    const stopped = predict(machine, parseGuests('seabios,linux-6.1'));
    expect(stopped.stopped).toMatch(/out of 32bit address space/);
    expect(stopped.unplaced.map(({ id }) => id)).toEqual(['d1', 'd2', 'd3']);
  });

  it('uses the newest model that is not newer, and says which', () => {
    const model = (name: string) => parseGuests(name).kernel?.model;
    expect(['linux-5.10', 'linux-6.9', 'linux-6.12', 'linux-6.18', 'linux-7.2', 'linux-8.0'].map(model)).toEqual([
      'linux-6.1',
      'linux-6.1',
      'linux-6.12',
      'linux-6.12',
      'linux-7.2',
      'linux-7.2',
    ]);
    expect(predict(virt([]), parseGuests('linux-6.9')).guests).toEqual([{ name: 'linux-6.9', model: 'linux-6.1' }]);
  });

  it('names the guests that there are where one is not known', () => {
    expect(() => parseGuests('linux-six')).toThrow(/no model of "linux-six"/);
    expect(() => parseGuests('linux-6.1,seabios')).toThrow(/seabios,linux-6[.]1/);
    for (const names of ['bogus,linux-6.1', 'seabios,bogus', 'constructor'])
      expect(() => parseGuests(names)).toThrow(/no model of "(bogus|constructor)"/);
    for (const name of guestNames) expect(() => parseGuests(name)).not.toThrow();
  });

  it('is JSON of its schema, for every guest', () => {
    const valid = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(
      JSON.parse(readFileSync('schema/prediction.schema.json', 'utf8')) as object,
    );
    const machine = virt([
      {
        id: 'nic',
        slot: '2.0',
        class: 0x020000,
        rom: { size: '512KiB' },
        sriov: { totalVfs: 4, firstVfOffset: 1, vfStride: 1, bars: [{ index: 0, type: 'mem64', size: '1MiB' }] },
        bars: [{ index: 0, type: 'mem64', prefetchable: true, size: '1TiB' }],
      },
    ]);
    for (const name of guestsFor(machine)) {
      valid(JSON.parse(JSON.stringify(predictionToJson(predict(machine, parseGuests(name))))));
      expect(valid.errors, name).toBeNull();
    }
  });
});

describe('a plan beside a prediction', () => {
  it('is kept by kernels that are told to, whatever they would do alone', () => {
    const machine = virt([
      {
        id: 'rp',
        slot: '1.0',
        class: 0x060400,
        bridge: {
          kind: 'root-port',
          functions: [
            {
              id: 'dev',
              slot: '0.0',
              class: 0x030200,
              bars: [{ index: 0, type: 'mem64', prefetchable: true, size: '1GiB', pin: '0x9000000000' }],
            },
          ],
        },
      },
    ]);
    const plan = place(machine);
    if (plan.status !== 'placed') throw new Error(plan.status);
    for (const name of ['linux-6.1', 'linux-6.12', 'linux-7.2']) {
      const guests = parseGuests(name);
      expect(leftAlone(machine, plan, guests).moved.map(({ id, bar, pinned }) => ({ id, bar, pinned }))).toEqual([
        { id: 'dev', bar: 0, pinned: true },
      ]);
      expect(toldToKeep(machine, plan, guests)).toMatchObject({ moved: [], windows: [] });
    }
    expect(toldToKeep(machine, plan, parseGuests('edk2-2022.11'))).toBeUndefined();
  });
});
