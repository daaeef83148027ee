import { fromHex } from '../lines.js';
import type { LogLine } from './line.js';

/** A mapping of guest memory for devices that the host refused, as QEMU, libvirt, cloud-hypervisor, DPDK and others print it. */
export interface DmaMapFailure {
  readonly kind: 'dma-map';
  /** The first address that devices would use (the guest physical address); undefined where the line does not say it. */
  readonly iova?: bigint;
  /** Bytes. */
  readonly size?: bigint;
  /** The positive errno, where the line says it in numbers or words. */
  readonly errno?: number;
  /** QEMU's name of the memory region: `pc.ram`, `0000:01:00.0 BAR 1 mmaps[0]`. */
  readonly region?: string;
  readonly line: LogLine;
}

/** Linux' numbers (include/uapi/asm-generic/errno-base.h) for the words of strerror(3). */
const errnos: Readonly<Record<string, number>> = {
  'operation not permitted': 1,
  'no such file or directory': 2,
  'cannot allocate memory': 12,
  'out of memory': 12,
  'permission denied': 13,
  'bad address': 14,
  'device or resource busy': 16,
  'file exists': 17,
  'no such device': 19,
  'invalid argument': 22,
  'no space left on device': 28,
};

/** hw/vfio: `vfio_container_dma_map(CONTAINER, IOVA, SIZE, VADDR) = -22 (Invalid argument)`, since QEMU 2.x in this order. */
const call =
  /(?:vfio\w*_dma_map|iommufd_backend_map_dma)\w* ?\([^,)]{0,40}, ?0x([0-9a-f]{1,16}), ?0x([0-9a-f]{1,16})[^)]{0,60}\) = -(\d{1,3})/;
const ioctl =
  /\b(?:VFIO_MAP_DMA|VFIO_IOMMU_MAP_DMA|IOMMU_IOAS_MAP|IommuDmaMap|DmaMap|DMA[ _]MAP|DMA remapping|map(?:ping)? (?:guest )?(?:memory|region|DMA)[^:]{0,40})\b/i;
const iova = /\biova[\s:=]{1,3}(?:0x)?([0-9a-f]{3,16})/i;
const length = /\b(?:size|len|length)[\s:=]{1,3}0x([0-9a-f]{1,16})/i;
const number = /(?:error|errno|code:?|= ?-|: -|Error\()[\s(]{0,2}(\d{1,3})\b/i;
const region = /\bRegion ([^:]{1,80}): vfio/;

/** Undefined where the line is about no refused mapping. */
export function dmaMapFailure(line: LogLine): DmaMapFailure | undefined {
  const { text } = line;
  const exact = call.exec(text);
  const named = region.exec(text)?.[1];
  const extra = named === undefined ? {} : { region: named };
  if (exact?.[1] && exact[2] && exact[3]) {
    return {
      kind: 'dma-map',
      iova: fromHex(exact[1]),
      size: fromHex(exact[2]),
      errno: Number(exact[3]),
      ...extra,
      line,
    };
  }
  const about = ioctl.exec(text);
  if (!about) return undefined;
  const errno = errnoIn(text.slice(about.index));
  if (errno === undefined) return undefined;
  const from = iova.exec(text)?.[1];
  const size = length.exec(text)?.[1];
  return {
    kind: 'dma-map',
    ...(from === undefined ? {} : { iova: fromHex(from) }),
    ...(size === undefined ? {} : { size: fromHex(size) }),
    errno,
    ...extra,
    line,
  };
}

/** The errno that a message ends in, in words or as a number. */
export function errnoIn(text: string): number | undefined {
  const lower = text.toLowerCase();
  const word = Object.keys(errnos).find((words) => lower.includes(words));
  if (word !== undefined) return errnos[word];
  const digits = number.exec(text)?.[1];
  return digits === undefined || Number(digits) === 0 ? undefined : Number(digits);
}
