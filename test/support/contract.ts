/** The examples of the formats, word for word: what other programs rely on. */

export const contractMachine = `pinbar: 1
machine:
  arch: aarch64                    # aarch64 | riscv64 | x86_64
  board: virt                      # virt | q35 | none ; none: nothing is assumed, only what the file says
  ram: 4GiB
  physicalAddressBits: 48
  properties: { highmem-mmio-size: 64TiB }      # board properties that move the map
reserved:
  - { base: 0x8000000, size: 1MiB, reason: MSI window of the host's SMMU }
hostBridges:                       # optional where the board implies them
  - id: pcie.0
    segment: 0
    buses: [0, 255]
    windows:                       # base is the PCI bus address; cpuBase defaults to it
      - { type: io,    base: 0x0, size: 64KiB, cpuBase: 0x3eff0000 }
      - { type: mem32, base: 0x10000000, size: 0x2eff0000 }
      - { type: mem64, base: 0x400000000000, size: 64TiB }
    functions:
      - id: rp1
        slot: "1.0"
        vendor: 0x1b36             # vendor, device and class are optional everywhere
        device: 0x000c
        class: 0x060400
        bars: [{ index: 0, type: mem32, size: 4KiB }]
        bridge:
          kind: root-port          # root-port | upstream-port | downstream-port | pcie-pci-bridge | pci-bridge
          io: 32                   # address bits decoded by the I/O window: 0 (none) | 16 | 32
          prefetchable: 64         # 0 (none) | 32 | 64
          hotplug: pcie            # none (default) | pcie | shpc: the slot's hot-plug capability
          reserve: { buses: 0, io: 0, memory: 0, prefetchable: 0 }    # room to keep for hotplug
          pin: { secondary: 1, prefetchable: { base: 0x6b8000000000, size: 2TiB } }   # all optional
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

export const contractPlan: unknown = {
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
    {
      id: 'rp1',
      address: '0000:00:01.0',
      bars: [{ index: 0, type: 'mem32', prefetchable: false, size: '0x1000', address: '0x11100000', pinned: false }],
    },
    {
      id: 'dev0',
      address: '0000:01:00.0',
      bars: [
        { index: 0, type: 'mem32', prefetchable: false, size: '0x1000000', address: '0x10000000', pinned: false },
        { index: 2, type: 'mem64', prefetchable: true, size: '0x4000000000', address: '0x6b8000000000', pinned: true },
        { index: 4, type: 'mem64', prefetchable: true, size: '0x2000000', address: '0x6c8000000000', pinned: true },
      ],
      rom: { size: '0x80000', address: '0x11000000' },
      sriov: { bars: [{ index: 0, size: '0x1000000', count: 8, address: '0x6bc000000000' }] },
    },
  ],
};

export const contractConflict: unknown = {
  pinbar: 1,
  status: 'infeasible',
  conflict: {
    summary: 'one paragraph in plain words, with the arithmetic',
    constraints: [{ kind: 'pin', id: 'dev0', bar: 2, detail: '…' }],
  },
  remedies: [{ change: '…', verified: true }],
};
