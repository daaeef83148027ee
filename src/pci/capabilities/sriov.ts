import { bit } from '../layout.js';
import { packed } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

/** Offsets in the SR-IOV capability. PCI Express Base 6.0 §9.3.3. */
export const sriovRegisters = packed('SR-IOV capability', 0, 0x40, [
  ['header', 4],
  ['capabilities', 4],
  ['control', 2],
  ['status', 2],
  ['initialVfs', 2],
  ['totalVfs', 2],
  ['numVfs', 2],
  ['dependencyLink', 2],
  ['firstVfOffset', 2],
  ['vfStride', 2],
  ['reserved', 2],
  ['vfDeviceId', 2],
  ['supportedPageSizes', 4],
  ['systemPageSize', 4],
  ['bar0', 4],
  ['bar1', 4],
  ['bar2', 4],
  ['bar3', 4],
  ['bar4', 4],
  ['bar5', 4],
  ['migrationState', 4],
]);

/** SR-IOV Control. */
export const VF_ENABLE = 1 << 0;
export const VF_MEMORY_SPACE = 1 << 3;

/** The VF BAR registers' count. */
export const VF_BARS = 6;

const r = sriovRegisters;

export const singleRootIov = {
  id: 0x0010,
  name: 'Single Root I/O Virtualization',
  spec: 'PCI Express Base 6.0 §9.3.3',
  size: 0x40,
  decode(cap: CapView) {
    const control = cap.u16(r.control.offset);
    return {
      enabled: bit(control, 0),
      memorySpace: bit(control, 3),
      ariCapableHierarchy: bit(control, 4),
      initialVfs: cap.u16(r.initialVfs.offset),
      totalVfs: cap.u16(r.totalVfs.offset),
      numVfs: cap.u16(r.numVfs.offset),
      /** As they stand with `numVfs`. */
      firstVfOffset: cap.u16(r.firstVfOffset.offset),
      vfStride: cap.u16(r.vfStride.offset),
      vfDevice: cap.u16(r.vfDeviceId.offset),
      /** Bit n: pages of 4 KiB << n. */
      supportedPageSizes: cap.u32(r.supportedPageSizes.offset),
      systemPageSize: cap.u32(r.systemPageSize.offset),
      bars: Array.from({ length: VF_BARS }, (_, i) => cap.u32(r.bar0.offset + 4 * i)),
    };
  },
} as const satisfies CapDecoder;
