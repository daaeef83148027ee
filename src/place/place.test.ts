import { expect, it } from 'vitest';
import { loadMachine } from '../machine/load.js';
import { place } from './place.js';
import { planFromJson, planToJson } from './plan-json.js';

const contract = `
pinbar: 1
machine:
  arch: aarch64
  board: virt
  ram: 4GiB
  physicalAddressBits: 48
  properties: { highmem-mmio-size: 64TiB }
reserved:
  - { base: 0x8000000, size: 1MiB, reason: MSI window of the host's SMMU }
hostBridges:
  - id: pcie.0
    segment: 0
    buses: [0, 255]
    windows:
      - { type: io,    base: 0x0, size: 64KiB, cpuBase: 0x3eff0000 }
      - { type: mem32, base: 0x10000000, size: 0x2eff0000 }
      - { type: mem64, base: 0x400000000000, size: 64TiB }
    functions:
      - id: rp1
        slot: "1.0"
        bars: [{ index: 0, type: mem32, size: 4KiB }]
        bridge:
          kind: root-port
          io: 32
          prefetchable: 64
          hotplug: pcie
          reserve: { buses: 0, io: 0, memory: 0, prefetchable: 0 }
          pin: { secondary: 1, prefetchable: { base: 0x6b8000000000, size: 2TiB } }
          functions:
            - id: dev0
              slot: "0.0"
              bars:
                - { index: 0, type: mem32, size: 16MiB }
                - { index: 2, type: mem64, prefetchable: true, size: 256GiB, pin: 0x6b8000000000 }
                - { index: 4, type: mem64, prefetchable: true, size: 32MiB, pin: 0x6c8000000000 }
              rom: { size: 512KiB }
              sriov: { totalVfs: 8, firstVfOffset: 1, vfStride: 1, bars: [{ index: 0, type: mem64, prefetchable: true, size: 16MiB }] }
`;

it("gives the contract's plan for the contract's machine", async () => {
  const plan = place(await loadMachine(contract, 'contract.yaml'));
  const bar = (index: number, type: string, prefetchable: boolean, size: string, address: string, pinned: boolean) => {
    return { index, type, prefetchable, size, address, pinned };
  };
  expect(planToJson(plan)).toEqual({
    pinbar: 1,
    status: 'placed',
    ram: [{ base: '0x40000000', size: '0x100000000' }],
    hostBridges: [
      {
        id: 'pcie.0',
        segment: 0,
        buses: [0, 1],
        windows: [
          { type: 'io', base: '0x0', size: '0x10000' },
          { type: 'mem32', base: '0x10000000', size: '0x2eff0000' },
          { type: 'mem64', base: '0x400000000000', size: '0x400000000000' },
        ],
      },
    ],
    bridges: [
      {
        id: 'rp1',
        address: '0000:00:01.0',
        primary: 0,
        secondary: 1,
        subordinate: 1,
        io: null,
        memory: { base: '0x10000000', limit: '0x110fffff' },
        prefetchable: { base: '0x6b8000000000', limit: '0x6d7fffffffff' },
      },
    ],
    functions: [
      { id: 'rp1', address: '0000:00:01.0', bars: [bar(0, 'mem32', false, '0x1000', '0x11100000', false)] },
      {
        id: 'dev0',
        address: '0000:01:00.0',
        bars: [
          bar(0, 'mem32', false, '0x1000000', '0x10000000', false),
          bar(2, 'mem64', true, '0x4000000000', '0x6b8000000000', true),
          bar(4, 'mem64', true, '0x2000000', '0x6c8000000000', true),
        ],
        rom: { size: '0x80000', address: '0x11000000' },
        sriov: { bars: [{ index: 0, size: '0x1000000', count: 8, address: '0x6bc000000000' }] },
      },
    ],
  });
  expect(planToJson(planFromJson(JSON.parse(JSON.stringify(planToJson(plan)))))).toEqual(planToJson(plan));
});

const fpga = (bar1: string) => `
pinbar: 1
machine: { arch: aarch64, board: virt, ram: 1GiB }
hostBridges:
  - id: pcie.0
    functions:
      - { id: fpga, slot: "9.0", bars: [{ index: 0, type: mem32, size: 4KiB }, { index: 1, type: mem32, size: ${bar1} }] }
`;

it('places the FPGA of the mailing list once its second BAR has 8 MiB', async () => {
  const plan = place(await loadMachine(fpga('8MiB'), 'fpga.yaml'));
  expect(plan).toMatchObject({
    status: 'placed',
    functions: [{ bars: [{ address: 0x10800000n }, { address: 0x10000000n }] }],
  });
});

it('has no place for it with 512 MiB', async () => {
  expect(place(await loadMachine(fpga('512MiB'), 'fpga.yaml')).status).toBe('infeasible');
});

it('has no place for a BAR of 4 GiB behind a bridge whose windows end below 4 GiB', async () => {
  const machine = `
pinbar: 1
machine: { arch: aarch64, board: virt, ram: 1GiB }
hostBridges:
  - id: pcie.0
    functions:
      - id: rp
        slot: "1.0"
        bridge:
          kind: root-port
          prefetchable: 0
          functions: [{ id: gpu, slot: "0.0", bars: [{ index: 0, type: mem64, prefetchable: true, size: 4GiB }] }]
`;
  expect(place(await loadMachine(machine, 'low.yaml')).status).toBe('infeasible');
});
