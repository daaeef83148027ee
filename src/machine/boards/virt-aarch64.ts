import { alignUp, isPowerOfTwo } from '../../address/align.js';
import { hex, parseSize } from '../../address/format.js';
import { GiB, MiB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import { Problem } from '../../problem/problem.js';
import type { HostWindow } from '../model.js';
import type { Board, BoardOptions } from './board.js';

/** QEMU `virt`, hw/arm/virt.c: base_memmap (below 4 GiB). All are CPU addresses. */
export const RAM_BASE = 0x4000_0000n;
const IO_WINDOW = { cpuBase: 0x3eff_0000n, size: 0x1_0000n };
const MEM32_WINDOW = { base: 0x1000_0000n, size: 0x2eff_0000n };

/** hw/arm/virt.c: extended_memmap floats above RAM, but never lower than this. */
const HIGH_REGIONS_FLOOR = 256n * GiB;
const GIC_REDIST2_SIZE = 64n * MiB;
const HIGH_ECAM_SIZE = 256n * MiB;
/** The size of the 64-bit window where `highmem-mmio-size` (QEMU 10.0 and later) does not change it. */
export const DEFAULT_HIGH_MMIO_SIZE = 512n * GiB;

const on = (value: string | bigint | boolean | undefined, otherwise: boolean) =>
  value === undefined ? otherwise : value === true || value === 'on' || value === 'yes' || value === 'true';

/**
 * Where the 64-bit window lies: above RAM, the second redistributor region and the high ECAM, each at a multiple of
 * its own size (hw/arm/virt.c: virt_set_high_memmap).
 */
export function highMmioWindow(ram: bigint, size: bigint): { readonly base: bigint; readonly size: bigint } {
  const afterRam = alignUp(RAM_BASE + ram, GiB);
  const floor = afterRam > HIGH_REGIONS_FLOOR ? afterRam : HIGH_REGIONS_FLOOR;
  const redistributors = alignUp(floor, GIC_REDIST2_SIZE) + GIC_REDIST2_SIZE;
  const ecam = alignUp(redistributors, HIGH_ECAM_SIZE) + HIGH_ECAM_SIZE;
  return { base: alignUp(ecam, size), size };
}

/** hw/arm/virt.c, virt_set_highmem_mmio_size: a power of two, and no less than the default. */
function highMmioSize(asked: string | bigint | boolean | undefined): bigint {
  if (asked === undefined) return DEFAULT_HIGH_MMIO_SIZE;
  const size = typeof asked === 'boolean' ? 0n : parseSize(asked);
  if (isPowerOfTwo(size) && size >= DEFAULT_HIGH_MMIO_SIZE) return size;
  throw new Problem(
    'board-property',
    `highmem-mmio-size is ${typeof asked === 'boolean' ? String(asked) : hex(size)}, and has to be a power of two, 512 GiB or more`,
  );
}

function windows({ ram, properties }: BoardOptions): HostWindow[] {
  const list: HostWindow[] = [
    { type: 'io', base: 0n, size: IO_WINDOW.size, cpuBase: IO_WINDOW.cpuBase },
    { type: 'mem32', base: MEM32_WINDOW.base, size: MEM32_WINDOW.size, cpuBase: MEM32_WINDOW.base },
  ];
  const highmem = on(properties['highmem'], true);
  if (highmem && on(properties['highmem-mmio'], true)) {
    const size = highMmioSize(properties['highmem-mmio-size']);
    const high = highMmioWindow(ram, size);
    list.push({ type: 'mem64', base: high.base, size: high.size, cpuBase: high.base });
  }
  return list;
}

export const virtAarch64: Board = {
  name: 'virt',
  arch: 'aarch64',
  properties: ['highmem', 'highmem-mmio', 'highmem-mmio-size', 'highmem-ecam', 'highmem-redists', 'compact-highmem'],
  map: (options) => {
    const highEcam = on(options.properties['highmem'], true) && on(options.properties['highmem-ecam'], true);
    return {
      ram: [AddressRange.sized(RAM_BASE, options.ram)],
      // The low ECAM, 16 MiB at 0x3f000000, has room for 16 buses.
      hostBridge: { id: 'pcie.0', segment: 0, buses: [0, highEcam ? 255 : 15], windows: windows(options) },
    };
  },
};
