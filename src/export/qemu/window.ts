import { isAligned, isPowerOfTwo } from '../../address/align.js';
import { formatQemuSize, hex } from '../../address/format.js';
import { highMmioWindow } from '../../machine/boards/virt-aarch64.js';
import { areOfBoard, boardMapOf, totalRam } from '../../machine/implied.js';
import type { HostWindow, Machine } from '../../machine/model.js';

const SIZE_PROPERTY = 'highmem-mmio-size';

const highWindow = ({ hostBridges }: Machine): HostWindow | undefined =>
  hostBridges[0]?.windows.find(({ type }) => type === 'mem64');

/** `highmem-mmio-size=…` where the machine's windows are QEMU's with it, and its properties do not say so already. */
export function highMmioSizeFor(machine: Machine): string[] {
  const { board, arch, properties, hostBridges } = machine;
  const window = highWindow(machine);
  if (board !== 'virt' || arch !== 'aarch64' || properties[SIZE_PROPERTY] !== undefined || !window) return [];
  const map = boardMapOf(machine);
  if (map && areOfBoard(hostBridges[0]?.windows ?? [], map)) return [];
  if (!isPowerOfTwo(window.size) || highWindowBase(totalRam(machine), window.size) !== window.base) return [];
  return [`${SIZE_PROPERTY}=${formatQemuSize(window.size)}`];
}

/** QEMU refuses sizes below 512 GiB, and above what 64 bits hold. */
function highWindowBase(ram: bigint, size: bigint): bigint | undefined {
  try {
    return highMmioWindow(ram, size).base;
  } catch {
    return undefined;
  }
}

/**
 * A machine's -machine with the series' options in the place of `highmem-mmio-size`: `pcie-mmio-window` takes a power of two
 * at a multiple of itself.
 */
export function withPreEnumeration(argument: string, machine: Machine): { argument: string; notes: string[] } {
  const window = highWindow(machine);
  const rest = argument.split(',').filter((part) => !part.startsWith(`${SIZE_PROPERTY}=`));
  if (!window) return { argument: [...rest, 'pci-pre-enum=on'].join(','), notes: [] };
  const fits = isPowerOfTwo(window.size) && isAligned(window.base, window.size) && window.base > 0n;
  return fits
    ? {
        argument: [...rest, `pcie-mmio-window=${hex(window.base)}:${hex(window.size)}`, 'pci-pre-enum=on'].join(','),
        notes: [],
      }
    : {
        argument: [argument, 'pci-pre-enum=on'].join(','),
        notes: [
          `the 64-bit window at ${hex(window.base)} has ${hex(window.size)} bytes; pcie-mmio-window takes a power of two at a multiple of it, and is left out`,
        ],
      };
}
