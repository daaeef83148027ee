import type { ExportOptions, ExportSource } from '../../src/export/exported.js';
import { loadMachine } from '../../src/machine/load.js';
import { place } from '../../src/place/place.js';

/** A machine file and its plan, as formats take them. */
export async function sourceOf(text: string, options: ExportOptions = {}): Promise<ExportSource> {
  const machine = await loadMachine(text, 'machine.yaml');
  const plan = place(machine);
  if (plan.status !== 'placed')
    throw new Error(
      `no plan: ${JSON.stringify(plan, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`,
    );
  return { plan, machine, options };
}

/** Two root buses of one segment; `board` has to have pxb-pcie. `second`: what the second host bridge says of itself. */
export const twoRoots = (
  board = '{ arch: x86_64, board: q35, ram: 1GiB, physicalAddressBits: 40 }',
  second = 'buses: [0x80, 0xff]',
): string => `
pinbar: 1
machine: ${board}
hostBridges:
  - id: pcie.0
    buses: [0, 0x7f]
    windows: [{ type: io, base: 0x1000, size: 0x7000 }, { type: mem32, base: 0xc0000000, size: 0x20000000 }, { type: mem64, base: 0xc000000000, size: 64GiB }]
    functions:
      - id: rp1
        slot: "1.0"
        bars: [{ index: 0, type: mem32, size: 4KiB }]
        bridge:
          kind: root-port
          io: 32
          functions: [{ id: dev0, slot: "0.0", qemuDevice: "pci-testdev,membar=1G", bars: [{ index: 0, type: mem32, size: 4KiB }, { index: 1, type: io, size: 256 }, { index: 2, type: mem64, prefetchable: true, size: 1GiB, pin: 0xc040000000 }] }]
  - id: node1
    ${second}
    windows: [{ type: io, base: 0x8000, size: 0x7000 }, { type: mem32, base: 0xe8000000, size: 0x10000000 }, { type: mem64, base: 0xd000000000, size: 64GiB }]
    functions:
      - id: rp2
        slot: "0.0"
        bars: [{ index: 0, type: mem32, size: 4KiB }]
        bridge:
          kind: root-port
          io: 32
          functions: [{ id: dev1, slot: "0.0", qemuDevice: "pci-testdev,membar=16G", bars: [{ index: 0, type: mem32, size: 4KiB }, { index: 1, type: io, size: 256 }, { index: 2, type: mem64, prefetchable: true, size: 16GiB, pin: 0xd000000000 }] }]
`;

/** One of everything: ports of every kind, a device of several functions, a ROM, VFs, I/O, pins of all kinds. */
export const oneOfEverything = `
pinbar: 1
machine: { arch: aarch64, board: virt, ram: 4GiB, physicalAddressBits: 48, properties: { highmem-mmio-size: 64TiB } }
reserved: [{ base: 0x8000000, size: 1MiB, reason: MSI window of the host's SMMU }]
hostBridges:
  - id: pcie.0
    functions:
      - { id: host, slot: "0.0", vendor: 0x1b36, device: 0x0008, class: 0x060000 }
      - id: rp1
        slot: "1.0"
        vendor: 0x1b36
        device: 0x000c
        class: 0x060400
        bars: [{ index: 0, type: mem32, size: 4KiB }]
        bridge:
          kind: root-port
          io: 32
          functions:
            - id: up
              slot: "0.0"
              bridge:
                kind: upstream-port
                io: 32
                functions:
                  - id: down0
                    slot: "0.0"
                    bridge:
                      kind: downstream-port
                      io: 32
                      functions:
                        - id: gpu0
                          slot: "0.0"
                          vendor: 0x10de
                          device: 0x2342
                          class: 0x030200
                          hostAddress: "0009:06:00.0"
                          bars:
                            - { index: 0, type: mem64, prefetchable: true, size: 16MiB }
                            - { index: 2, type: mem64, prefetchable: true, size: 256GiB, pin: 0x6b8000000000 }
                            - { index: 4, type: mem64, prefetchable: true, size: 32MiB, pin: 0x6c8000000000 }
                  - id: down1
                    slot: "1.0"
                    bridge:
                      kind: downstream-port
                      io: 32
                      functions:
                        - id: nic0
                          slot: "0.0"
                          vendor: 0x15b3
                          device: 0x1023
                          class: 0x020000
                          hostAddress: "0009:01:00.0"
                          bars: [{ index: 0, type: mem64, prefetchable: true, size: 32MiB, pin: 0x6d0000000000 }]
                          rom: { size: 1MiB }
                          sriov: { totalVfs: 16, firstVfOffset: 1, vfStride: 1, bars: [{ index: 0, type: mem64, prefetchable: true, size: 2MiB, pin: 0x6d0002000000 }] }
      - id: rp2
        slot: "2.0"
        bars: [{ index: 0, type: mem32, size: 4KiB }]
        bridge:
          kind: root-port
          io: 32
          hotplug: pcie
          reserve: { buses: 2, io: 4KiB, memory: 2MiB, prefetchable: 1GiB }
      - id: net0
        slot: "3.0"
        vendor: 0x1af4
        device: 0x1000
        class: 0x020000
        qemuDevice: virtio-net-pci,mac=52:54:00:12:34:56
        bars: [{ index: 0, type: io, size: 32, pin: 0x2000 }, { index: 1, type: mem32, size: 4KiB }, { index: 4, type: mem64, prefetchable: true, size: 16KiB }]
        rom: { size: 256KiB, pin: 0x20000000 }
      - { id: net1, slot: "3.1", vendor: 0x1af4, device: 0x1005, qemuDevice: virtio-rng-pci, bars: [{ index: 1, type: mem32, size: 4KiB }] }
      - id: pcibridge
        slot: "4.0"
        bridge:
          kind: pcie-pci-bridge
          functions:
            - { id: old, slot: "1.0", bridge: { kind: pci-bridge, io: 16, prefetchable: 32, hotplug: shpc, functions: [
                { id: sound, slot: "2.0", vendor: 0x8086, device: 0x2415, qemuDevice: AC97, bars: [{ index: 0, type: io, size: 1KiB }, { index: 1, type: io, size: 256 }] }] } }
`;
