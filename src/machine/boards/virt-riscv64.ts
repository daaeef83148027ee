import { alignUp } from '../../address/align.js';
import { GiB, KiB, MiB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import type { Board, BoardMap, BoardOptions, BoardRegion, RegionUse } from './board.js';
import { BoardProperties } from './properties.js';

/** QEMU `virt`, hw/riscv/virt.c: virt_memmap. All are CPU addresses. */
const RAM_BASE = 0x8000_0000n;
const HIGH_WINDOW_SIZE = 16n * GiB;
/** VIRT_SOCKETS_MAX: what is there once for each socket (NUMA node) has room for so many. */
const SOCKETS = 4n;

const interruptControllers = ['none', 'aplic', 'aplic-imsic'] as const;

function regionsOf(properties: BoardProperties): BoardRegion[] {
  const at = (base: bigint, size: bigint, name: string, use: RegionUse = 'device'): BoardRegion => ({
    name,
    range: AddressRange.sized(base, size),
    use,
  });
  const aia = properties.choice('aia', interruptControllers) ?? 'none';
  const hasIommu = properties.isOn('iommu-sys', false);
  return [
    at(0n, 0x100n, 'debug', 'kept'),
    at(0x1000n, 60n * KiB, 'boot ROM', 'rom'),
    at(0x10_0000n, 4n * KiB, 'power (SiFive test)'),
    at(0x10_1000n, 4n * KiB, 'RTC (goldfish)'),
    at(0x200_0000n, SOCKETS * 64n * KiB, 'CLINT'),
    at(
      0x2f0_0000n,
      SOCKETS * 16n * KiB,
      'ACLINT supervisor interrupts',
      isAclintSswi(properties, aia) ? 'device' : 'kept',
    ),
    at(0x301_0000n, 4n * KiB, 'IOMMU', hasIommu ? 'device' : 'kept'),
    at(0x400_0000n, 32n * MiB, 'platform bus', 'kept'),
    ...(aia === 'none'
      ? [at(0xc00_0000n, SOCKETS * 6n * MiB, 'PLIC')]
      : [at(0xc00_0000n, 16n * MiB, 'APLIC, machine level'), at(0xd00_0000n, 16n * MiB, 'APLIC, supervisor level')]),
    at(0x1000_0000n, 0x100n, 'UART (16550)'),
    at(0x1000_1000n, 8n * 4n * KiB, 'virtio-mmio x 8'),
    at(0x1010_0000n, 0x18n, 'fw_cfg'),
    at(0x2000_0000n, 32n * MiB, 'flash 0', 'rom'),
    at(0x2200_0000n, 32n * MiB, 'flash 1', 'rom'),
    at(0x2400_0000n, 64n * MiB, 'IMSIC, machine level (MSI)', aia === 'aplic-imsic' ? 'device' : 'kept'),
    at(0x2800_0000n, 64n * MiB, 'IMSIC, supervisor level (MSI)', aia === 'aplic-imsic' ? 'device' : 'kept'),
    at(0x3000_0000n, 256n * MiB, 'ECAM', 'ecam'),
  ];
}

/** With IMSICs, interrupts between harts are MSIs. */
const isAclintSswi = (properties: BoardProperties, aia: (typeof interruptControllers)[number]): boolean =>
  properties.isOn('aclint', false) && aia !== 'aplic-imsic';

function map({ ram, properties }: BoardOptions): BoardMap {
  // hw/riscv/virt.c: the 64-bit window is the first multiple of its size above RAM, whatever the address bits.
  const high = alignUp(RAM_BASE + ram, HIGH_WINDOW_SIZE);
  return {
    ram: [AddressRange.sized(RAM_BASE, ram)],
    regions: regionsOf(new BoardProperties(properties)),
    hostBridge: {
      id: 'pcie.0',
      segment: 0,
      buses: [0, 255],
      windows: [
        { type: 'io', base: 0n, size: 0x1_0000n, cpuBase: 0x300_0000n },
        { type: 'mem32', base: 0x4000_0000n, size: GiB, cpuBase: 0x4000_0000n },
        { type: 'mem64', base: high, size: HIGH_WINDOW_SIZE, cpuBase: high },
      ],
    },
    notes: [],
  };
}

export const virtRiscv64: Board = {
  id: 'virt-riscv64',
  name: 'virt',
  arch: 'riscv64',
  title: 'QEMU virt, 64-bit RISC-V',
  properties: [
    { name: 'aclint', values: 'on | off', what: 'supervisor interrupts between harts by ACLINT' },
    { name: 'aia', values: interruptControllers.join(' | '), what: 'the interrupt controller; none is a PLIC' },
    { name: 'iommu-sys', values: 'on | off', what: 'an IOMMU beside the PCI bus', since: [10, 0] },
  ],
  map,
};
