import { alignUp, ascending, minOf } from '../../address/align.js';
import { formatSize, hex } from '../../address/format.js';
import { FOUR_GIB, GiB, KiB, MiB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import { RangeSet } from '../../address/range-set.js';
import { Problem } from '../../problem/problem.js';
import type { HostWindow } from '../model.js';
import type { Board, BoardMap, BoardOptions, BoardRegion, RegionUse } from './board.js';
import { hotplugMemory, hotplugProperties, hotplugRegion } from './hotplug-memory.js';
import { BoardProperties } from './properties.js';

/** Ports below this belong to the board (hw/isa, hw/acpi); Linux hands out none of them (PCIBIOS_MIN_IO of x86). */
const FIRST_PORT = 0x1000n;
/** IO_APIC_DEFAULT_ADDRESS: the 32-bit PCI hole ends below it (hw/pci-host/q35.c and i440fx.c, pci_hole). */
const IO_APIC = 0xfec0_0000n;
/** What the largest x86 CPU can address; where no bits are given, nothing less is known. */
const MOST_ADDRESS_BITS = 52;
/** hw/i386/pc.c, AMD_HT_START: HyperTransport's, on AMD CPUs; QEMU tells their guests that it is reserved. */
const HYPERTRANSPORT = AddressRange.of(0xfd_0000_0000n, 0xff_ffff_ffffn);
/** The 64-bit PCI hole has to have at least this within the address bits (pci-hole64-size, 2 GiB on i440fx). */
const HOLE64_SIZE = { q35: 32n * GiB, pc: 2n * GiB } as const;
/** The default of max-fw-size, hw/i386/pc.c. */
const FIRMWARE_SIZE = 8n * MiB;
/** hw/pci-host/q35.c: where firmware puts the ECAM: MCH_HOST_BRIDGE_PCIEXBAR_DEFAULT. */
const Q35_ECAM = AddressRange.sized(0xb000_0000n, 256n * MiB);
/** The most that firmware can take from the end of low RAM for system management mode: extended-tseg-mbytes. */
const TSEG_SIZE = 16n * MiB;

type PcBoard = 'q35' | 'pc';

/** How much RAM lies below 4 GiB: hw/i386/pc_q35.c, pc_q35_init, and pc_piix.c, pc_init1. */
function lowRam(board: PcBoard, ram: bigint, properties: BoardProperties): bigint {
  const asked = properties.size('max-ram-below-4g');
  if (asked !== undefined && (asked > FOUR_GIB || asked < MiB)) {
    const what = `${formatSize(asked)} is ${asked < MiB ? 'less than 1 MiB' : 'more than 4 GiB'}`;
    throw properties.mistake('max-ram-below-4g', what);
  }
  // From 2.75 GiB on RAM gives way to the ECAM and the 32-bit PCI hole.
  if (board === 'q35') return minOf(ram, minOf(ram >= 0xb000_0000n ? 0x8000_0000n : 0xb000_0000n, asked ?? FOUR_GIB));
  const most = asked ?? 0xe000_0000n;
  return minOf(ram, ram >= most ? minOf(most, 0xc000_0000n) : most);
}

function regionsOf(board: PcBoard, low: bigint, hasHyperTransport: boolean): BoardRegion[] {
  const at = (base: bigint, size: bigint, name: string, use: RegionUse = 'device'): BoardRegion => ({
    name,
    range: AddressRange.sized(base, size),
    use,
  });
  return [
    at(0xa_0000n, 128n * KiB, 'VGA, legacy', 'kept'),
    at(0xc_0000n, 128n * KiB, 'option ROMs', 'rom'),
    at(0xe_0000n, 128n * KiB, 'BIOS', 'rom'),
    ...(board === 'q35' && low > TSEG_SIZE
      ? [at(low - TSEG_SIZE, TSEG_SIZE, 'TSEG, RAM that firmware may lock', 'kept')]
      : []),
    ...(board === 'q35' ? [{ name: 'ECAM', range: Q35_ECAM, use: 'ecam' } as const] : []),
    at(IO_APIC, 4n * KiB, 'I/O APIC'),
    at(0xfed0_0000n, KiB, 'HPET', 'kept'),
    at(0xfed4_0000n, 20n * KiB, 'TPM', 'kept'),
    ...(board === 'q35' ? [at(0xfed9_0000n, 4n * KiB, 'IOMMU', 'kept')] : []),
    at(0xfee0_0000n, MiB, 'local APIC (MSI)'),
    at(FOUR_GIB - FIRMWARE_SIZE, FIRMWARE_SIZE, 'firmware', 'kept'),
    ...(hasHyperTransport ? [{ name: 'HyperTransport (AMD)', range: HYPERTRANSPORT, use: 'kept' } as const] : []),
  ];
}

function map(board: PcBoard, { ram, properties: given, physicalAddressBits }: BoardOptions): BoardMap {
  const properties = new BoardProperties(given);
  const low = lowRam(board, ram, properties);
  const high = ram > low ? AddressRange.sized(FOUR_GIB, ram - low) : undefined;
  const ramEnd = high ? high.limit + 1n : FOUR_GIB;
  const plugged = hotplugMemory(properties, ram, ramEnd);
  // hw/i386/pc.c, pc_pci_hole64_start and pc_max_used_gpa.
  const hole64 = alignUp(plugged ? plugged.limit + 1n : ramEnd, GiB);
  const bits = physicalAddressBits ?? MOST_ADDRESS_BITS;
  const end = 1n << BigInt(bits);
  if (hole64 + HOLE64_SIZE[board] > end) {
    const needed = formatSize(HOLE64_SIZE[board]);
    throw new Problem(
      'board-address-bits',
      `${bits} address bits end at ${hex(end - 1n)}, and QEMU wants ${needed} for 64-bit BARs above ${hex(hole64)}, where memory ends`,
      { hint: 'use a CPU with more (-cpu ...,phys-bits=), or less RAM', facts: { bits } },
    );
  }
  const regions = [
    ...regionsOf(board, low, hole64 <= HYPERTRANSPORT.base && HYPERTRANSPORT.limit < end),
    ...(plugged ? [hotplugRegion(plugged)] : []),
  ];
  const taken = [Q35_ECAM].filter(() => board === 'q35');
  const windows: HostWindow[] = [
    { type: 'io', base: FIRST_PORT, size: 0x1_0000n - FIRST_PORT, cpuBase: FIRST_PORT },
    ...holes('mem32', low, IO_APIC, taken),
    ...holes('mem64', hole64, end, [HYPERTRANSPORT]),
  ];
  return {
    ram: [AddressRange.sized(0n, low), ...(high ? [high] : [])],
    regions: regions.toSorted((a, b) => ascending(a.range.base, b.range.base)),
    hostBridge: { id: board === 'q35' ? 'pcie.0' : 'pci.0', segment: 0, buses: [0, 255], windows },
    notes: notesOn(board, hole64, physicalAddressBits),
  };
}

function holes(type: HostWindow['type'], from: bigint, to: bigint, taken: readonly AddressRange[]): HostWindow[] {
  if (from >= to) return [];
  return [...RangeSet.of([AddressRange.of(from, to - 1n)]).subtract(taken)].map(({ base, size }) => ({
    type,
    base,
    size,
    cpuBase: base,
  }));
}

function notesOn(board: PcBoard, hole64: bigint, bits: number | undefined): string[] {
  const unknown = bits === undefined;
  return [
    ...(board === 'q35' ? ['The ECAM lies where firmware puts it: this is where SeaBIOS, OVMF and qboot do.'] : []),
    ...(unknown
      ? [
          'How far the 64-bit window goes is up to the CPU: QEMU’s own CPUs have 40 address bits, unless phys-bits says more.',
        ]
      : []),
    ...(hole64 + HOLE64_SIZE[board] > HYPERTRANSPORT.base
      ? ['With a guest CPU of AMD, QEMU 7.1 and later put all RAM that lies above 4 GiB at 0x10000000000 instead.']
      : []),
  ];
}

const properties: Board['properties'] = [
  { name: 'max-ram-below-4g', values: 'up to 4 GiB', what: 'how much RAM lies below 4 GiB; the rest lies above' },
  ...hotplugProperties,
];

export const q35: Board = {
  id: 'q35',
  name: 'q35',
  arch: 'x86_64',
  title: 'QEMU q35, PC with PCI Express',
  properties,
  map: (options) => map('q35', options),
};

export const pc: Board = {
  id: 'pc',
  name: 'pc',
  arch: 'x86_64',
  title: 'QEMU pc (i440fx), PC with conventional PCI',
  properties,
  map: (options) => map('pc', options),
};
