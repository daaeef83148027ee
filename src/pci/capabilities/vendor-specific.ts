import type { CapDecoder, CapView } from './view.js';

export const vendorSpecific = {
  id: 0x09,
  name: 'Vendor-Specific',
  spec: 'PCI Express Base 6.0 §7.9.4',
  size: 3,
  decode(cap: CapView) {
    const length = cap.u8(2);
    const bytes: number[] = [];
    for (let i = 3; i < length; i++) bytes.push(cap.u8(i));
    return { length, /** What follows the length. */ bytes };
  },
} as const satisfies CapDecoder;

/** What QEMU's bridges ask firmware to keep free. Sizes in bytes; undefined: no wish. */
export interface QemuReservation {
  readonly buses?: number;
  readonly io?: bigint;
  readonly memory?: bigint;
  readonly prefetchable32?: bigint;
  readonly prefetchable64?: bigint;
}

export const RED_HAT = 0x1b36;
const RESOURCE_RESERVE = 1;

/**
 * QEMU's resource reservation: a vendor-specific capability of Red Hat's bridges with type 1 and then bus count (4 bytes),
 * I/O (8), memory (4), 32-bit prefetchable (4), 64-bit prefetchable (8), all ones where there is no wish. QEMU
 * docs/pcie_pci_bridge.txt and include/hw/pci/pci_bridge.h (struct PCIBridgeQemuCap).
 * @param bytes what follows the capability's length
 */
export function decodeQemuReservation(bytes: readonly number[]): QemuReservation | null {
  if (bytes[0] !== RESOURCE_RESERVE || bytes.length < 29) return null;
  const view = new DataView(Uint8Array.from(bytes).buffer, 1);
  const wish32 = (offset: number) => view.getUint32(offset, true);
  const wish64 = (offset: number) => view.getBigUint64(offset, true);
  const none32 = 0xffff_ffff;
  const none64 = 0xffff_ffff_ffff_ffffn;
  return {
    ...(wish32(0) === none32 ? {} : { buses: wish32(0) }),
    ...(wish64(4) === none64 ? {} : { io: wish64(4) }),
    ...(wish32(12) === none32 ? {} : { memory: BigInt(wish32(12)) }),
    ...(wish32(16) === none32 ? {} : { prefetchable32: BigInt(wish32(16)) }),
    ...(wish64(20) === none64 ? {} : { prefetchable64: wish64(20) }),
  };
}
