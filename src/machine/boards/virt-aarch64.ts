import { alignUp, ascending, isPowerOfTwo, maxOf } from '../../address/align.js';
import { hex } from '../../address/format.js';
import { ADDRESS_SPACE, GiB, KiB, MiB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import type { HostWindow } from '../model.js';
import type { Board, BoardMap, BoardOptions, BoardRegion, RegionUse } from './board.js';
import { hotplugMemory, hotplugProperties, hotplugRegion } from './hotplug-memory.js';
import { BoardProperties } from './properties.js';
import { isSince } from './release.js';

/** QEMU `virt`, hw/arm/virt.c: base_memmap (below 4 GiB). All are CPU addresses. */
const RAM_BASE = 0x4000_0000n;
const IO_WINDOW = { cpuBase: 0x3eff_0000n, size: 0x1_0000n };
const MEM32_WINDOW = { base: 0x1000_0000n, size: 0x2eff_0000n };
const LOW_ECAM = AddressRange.sized(0x3f00_0000n, 16n * MiB);

/** hw/arm/virt.c: extended_memmap floats above RAM, but never lower than this. */
const HIGH_REGIONS_FLOOR = 256n * GiB;
const GIC_REDIST2_SIZE = 64n * MiB;
/** Registers of CXL host bridges: a place for them from QEMU 10.2 on, used with pxb-cxl. */
const CXL_HOST_SIZE = MiB;
const HIGH_ECAM_SIZE = 256n * MiB;
/** The size of the 64-bit window where `highmem-mmio-size` (QEMU 10.0 and later) does not change it. */
export const DEFAULT_HIGH_MMIO_SIZE = 512n * GiB;

const gicVersions = ['2', '3', '4', 'x-5', 'host', 'max'] as const;

/** What QEMU was told, and what it makes of it. */
interface Told {
  /** Where the high regions may start: above RAM and the memory that may be plugged in. */
  readonly memoryEnd: bigint;
  readonly bits: number;
  readonly highRedistributors: boolean;
  readonly highEcam: boolean;
  readonly highMmio: boolean;
  readonly highMmioSize: bigint;
  /** A high region that is switched off takes no room. */
  readonly compact: boolean;
  readonly cxl: boolean;
}

/** Where the high regions lie; undefined: switched off, or not within the address bits. */
interface HighRegions {
  readonly redistributors?: AddressRange;
  readonly ecam?: AddressRange;
  readonly mmio?: AddressRange;
  /** Where the 64-bit window would lie with more address bits. */
  readonly mmioBeyond?: AddressRange;
}

/** hw/arm/virt.c, virt_set_high_memmap: one after the other, each at a multiple of its own size. */
function highRegions(told: Told): HighRegions {
  let base = maxOf(told.memoryEnd, HIGH_REGIONS_FLOOR);
  const next = (size: bigint, on: boolean): { readonly range: AddressRange; readonly fits: boolean } | undefined => {
    const start = alignUp(base, size);
    const fits = start + size <= 1n << BigInt(told.bits);
    if ((on && fits) || !told.compact) base = start + size;
    return on && start + size <= ADDRESS_SPACE ? { range: AddressRange.sized(start, size), fits } : undefined;
  };
  const redistributors = next(GIC_REDIST2_SIZE, told.highRedistributors);
  if (told.cxl) next(CXL_HOST_SIZE, false);
  const ecam = next(HIGH_ECAM_SIZE, told.highEcam);
  const mmio = next(told.highMmioSize, told.highMmio);
  return {
    ...(redistributors?.fits ? { redistributors: redistributors.range } : {}),
    ...(ecam?.fits ? { ecam: ecam.range } : {}),
    ...(mmio ? { [mmio.fits ? 'mmio' : 'mmioBeyond']: mmio.range } : {}),
  };
}

/**
 * Where the 64-bit window of `size` bytes lies with so much RAM and nothing else said.
 * @throws Problem `board-property` where `highmem-mmio-size` cannot be that
 */
export function highMmioWindow(ram: bigint, size: bigint): { readonly base: bigint; readonly size: bigint } {
  const { windows } = map({ ram, properties: { 'highmem-mmio-size': size } }).hostBridge;
  const high = windows.find(({ type }) => type === 'mem64');
  if (!high) throw new RangeError(`${hex(size)} bytes do not fit into 64 bits`);
  return { base: high.base, size: high.size };
}

function told(options: BoardOptions, properties: BoardProperties): Told {
  const highmem = properties.isOn('highmem', true);
  const { ram, qemu } = options;
  const plugged = hotplugMemory(properties, ram, RAM_BASE + ram);
  return {
    memoryEnd: alignUp(plugged ? plugged.limit + 1n : RAM_BASE + ram, GiB),
    // Without highmem the address space is that of 32 bits, whatever the CPU can do.
    bits: highmem ? (options.physicalAddressBits ?? 64) : 32,
    highRedistributors: properties.isOn('highmem-redists', true),
    highEcam: properties.isOn('highmem-ecam', true),
    highMmio: properties.isOn('highmem-mmio', true),
    highMmioSize: highMmioSize(properties),
    compact: properties.isOn('compact-highmem', isSince(qemu, [8, 0])),
    cxl: isSince(qemu, [10, 2]),
  };
}

/** hw/arm/virt.c, virt_set_highmem_mmio_size: a power of two, and no less than the default. */
function highMmioSize(properties: BoardProperties): bigint {
  const size = properties.size('highmem-mmio-size') ?? DEFAULT_HIGH_MMIO_SIZE;
  if (isPowerOfTwo(size) && size >= DEFAULT_HIGH_MMIO_SIZE) return size;
  throw properties.mistake('highmem-mmio-size', `${hex(size)} is not a power of two, or less than 512 GiB`);
}

function regionsOf(properties: BoardProperties, high: HighRegions): BoardRegion[] {
  const at = (base: bigint, size: bigint, name: string, use: RegionUse = 'device'): BoardRegion => ({
    name,
    range: AddressRange.sized(base, size),
    use,
  });
  const kept = (base: bigint, size: bigint, name: string) => at(base, size, name, 'kept');
  const isSecure = properties.isOn('secure', false);
  const hasSmmu = properties.choice('iommu', ['none', 'smmuv3']) === 'smmuv3';
  return [
    // With secure=on the first half, and what is called secure below, are for the Secure world alone.
    at(0n, 64n * MiB, isSecure ? 'flash 0 (Secure world)' : 'flash 0', isSecure ? 'kept' : 'rom'),
    at(64n * MiB, 64n * MiB, 'flash 1', 'rom'),
    ...interruptController(properties).map(([base, size, name]) => at(base, size, name)),
    at(0x900_0000n, 4n * KiB, 'UART 0 (PL011)'),
    at(0x901_0000n, 4n * KiB, 'RTC (PL031)'),
    at(0x902_0000n, 0x18n, 'fw_cfg'),
    kept(0x903_0000n, 4n * KiB, 'GPIO (PL061)'),
    kept(0x904_0000n, 4n * KiB, isSecure ? 'UART 1 (Secure world)' : 'UART 1 (PL011)'),
    at(0x905_0000n, 128n * KiB, 'SMMUv3', hasSmmu ? 'device' : 'kept'),
    kept(0x907_0000n, 192n * KiB, 'ACPI: memory hotplug, generic events, NVDIMM'),
    kept(0x90a_0000n, 64n * KiB, 'stolen time'),
    kept(0x90b_0000n, 4n * KiB, 'GPIO (Secure world)'),
    kept(0x90c_0000n, 4n * KiB, 'ACPI: PCI hotplug'),
    at(0xa00_0000n, 32n * 0x200n, 'virtio-mmio x 32'),
    kept(0xc00_0000n, 32n * MiB, 'platform bus'),
    kept(0xe00_0000n, 16n * MiB, 'RAM (Secure world)'),
    kept(0xf00_0000n, 8n * KiB, 'generic watchdog'),
    { name: 'ECAM, low', range: LOW_ECAM, use: high.ecam ? 'kept' : 'ecam' },
    ...(high.redistributors
      ? [{ name: 'GIC redistributors, second region', range: high.redistributors, use: 'kept' } as const]
      : []),
    ...(high.ecam ? [{ name: 'ECAM', range: high.ecam, use: 'ecam' } as const] : []),
  ];
}

/** Which it is where nothing is said depends on the number of CPUs and, with KVM, on the host. */
function interruptController(properties: BoardProperties): (readonly [base: bigint, size: bigint, name: string])[] {
  const its = properties.isOn('its', true);
  const virtualization = properties.isOn('virtualization', false);
  const version = properties.choice('gic-version', gicVersions);
  if (version === '2') {
    return [
      [0x800_0000n, 64n * KiB, 'GICv2 distributor'],
      [0x801_0000n, 64n * KiB, 'GICv2 CPU interface'],
      [0x802_0000n, 4n * KiB, 'GICv2m MSI frame'],
      ...(virtualization ? ([[0x803_0000n, 128n * KiB, 'GICv2 hypervisor and virtual CPU interfaces']] as const) : []),
    ];
  }
  if (version === '3' || version === '4') {
    return [
      [0x800_0000n, 64n * KiB, `GICv${version} distributor`],
      ...(its ? ([[0x808_0000n, 128n * KiB, `GICv${version} ITS (MSI)`]] as const) : []),
      [0x80a_0000n, 0xf6_0000n, `GICv${version} redistributors`],
    ];
  }
  return [[0x800_0000n, 16n * MiB, 'GIC']];
}

function map(options: BoardOptions): BoardMap {
  const properties = new BoardProperties(options.properties);
  const high = highRegions(told(options, properties));
  const plugged = hotplugMemory(properties, options.ram, RAM_BASE + options.ram);
  const regions = [...regionsOf(properties, high), ...(plugged ? [hotplugRegion(plugged)] : [])];
  const windows: HostWindow[] = [
    { type: 'io', base: 0n, size: IO_WINDOW.size, cpuBase: IO_WINDOW.cpuBase },
    { type: 'mem32', base: MEM32_WINDOW.base, size: MEM32_WINDOW.size, cpuBase: MEM32_WINDOW.base },
  ];
  if (high.mmio) windows.push(mem64(high.mmio));
  // Where highmem=off has made the address bits 32, more of them are no remedy.
  const beyond = properties.isOn('highmem', true) ? high.mmioBeyond : undefined;
  return {
    ram: [AddressRange.sized(RAM_BASE, options.ram)],
    regions: regions.toSorted((a, b) => ascending(a.range.base, b.range.base)),
    hostBridge: {
      id: 'pcie.0',
      segment: 0,
      buses: [0, high.ecam ? 255 : 15],
      windows,
      ...(beyond ? { beyondAddressBits: [mem64(beyond)] } : {}),
    },
    notes: beyond
      ? [
          `With ${options.physicalAddressBits ?? 64} address bits there is no 64-bit window: it would lie at ${beyond.toString()}.`,
        ]
      : [],
  };
}

const mem64 = ({ base, size }: AddressRange): HostWindow => ({ type: 'mem64', base, size, cpuBase: base });

export const virtAarch64: Board = {
  id: 'virt-aarch64',
  name: 'virt',
  arch: 'aarch64',
  title: 'QEMU virt, 64-bit Arm',
  properties: [
    { name: 'highmem', values: 'on | off', what: 'anything above 4 GiB' },
    {
      name: 'highmem-ecam',
      values: 'on | off',
      what: 'config space for 256 buses above RAM, not for 16 below',
      since: [8, 0],
    },
    { name: 'highmem-mmio', values: 'on | off', what: 'the 64-bit window', since: [8, 0] },
    {
      name: 'highmem-mmio-size',
      values: 'power of two from 512 GiB',
      what: 'size of the 64-bit window',
      since: [10, 0],
    },
    { name: 'highmem-redists', values: 'on | off', what: 'the second region for GIC redistributors', since: [8, 0] },
    { name: 'compact-highmem', values: 'on | off', what: 'regions that are off take no room', since: [8, 0] },
    { name: 'gic-version', values: gicVersions.join(' | '), what: 'the interrupt controller' },
    { name: 'its', values: 'on | off', what: 'the MSI controller of a GICv3' },
    { name: 'virtualization', values: 'on | off', what: 'the hypervisor interfaces of a GICv2' },
    { name: 'secure', values: 'on | off', what: 'what only the Secure world sees' },
    { name: 'iommu', values: 'none | smmuv3', what: 'the IOMMU' },
    ...hotplugProperties,
  ],
  map,
};
