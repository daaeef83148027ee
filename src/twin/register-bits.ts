import type { CapabilityKind } from '../pci/capabilities/index.js';
import { sriovRegisters } from '../pci/capabilities/sriov.js';

/** Bits of a register in a capability that software can change. */
export interface RegisterBits {
  /** From the capability's first byte. */
  readonly offset: number;
  readonly width: 1 | 2 | 4;
  readonly writable?: number;
  /** Cleared by writing 1. */
  readonly clearable?: number;
  /** Zero after power-on whatever was captured: what a driver had switched on. Other bits keep the captured value. */
  readonly zeroed?: number;
}

const sriov = sriovRegisters;
const ALL = 0xffff_ffff;

/**
 * The capabilities whose registers a guest writes, by PCI Express Base 6.0 chapter 7 and §9.3.3. Whatever is not in the list
 * is read-only. A function that lacks an optional feature may have fewer of these bits than are writable here.
 */
export const registerBits: Partial<Record<CapabilityKind, readonly RegisterBits[]>> = {
  // §7.5.2.2: PowerState, PME_En; PME_Status.
  powerManagement: [{ offset: 4, width: 2, writable: 0x0103, clearable: 0x8000, zeroed: 0x8103 }],
  // §7.7.1: enable and multiple message enable. What follows depends on the control register: see `msiBits`.
  msi: [{ offset: 2, width: 2, writable: 0x0071, zeroed: 0x0071 }],
  // §7.7.2.2: enable, function mask.
  msix: [{ offset: 2, width: 2, writable: 0xc000, zeroed: 0xc000 }],
  // §7.5.3: Device Control, Device Status, Link Control, Link Status, Device Control 2, Link Control 2.
  express: [
    { offset: 0x08, width: 2, writable: 0x7fff },
    { offset: 0x0a, width: 2, clearable: 0x000f, zeroed: 0x000f },
    { offset: 0x10, width: 2, writable: 0x0fdb },
    { offset: 0x12, width: 2, clearable: 0xc000 },
    { offset: 0x28, width: 2, writable: 0xffff },
    { offset: 0x30, width: 2, writable: 0x1fff },
  ],
  // §7.8.4: statuses, masks, severity, control.
  advancedErrorReporting: [
    { offset: 0x04, width: 4, clearable: ALL },
    { offset: 0x08, width: 4, writable: 0x07ff_f030 },
    { offset: 0x0c, width: 4, writable: 0x07ff_f030 },
    { offset: 0x10, width: 4, clearable: ALL },
    { offset: 0x14, width: 4, writable: 0x0000_f1c1 },
    { offset: 0x18, width: 4, writable: 0x0000_0540 },
  ],
  // §7.7.11.3.
  accessControlServices: [{ offset: 6, width: 2, writable: 0x007f }],
  // §7.8.8.3: function groups.
  alternativeRoutingId: [{ offset: 6, width: 2, writable: 0x0073 }],
  // §10.5.1.3: enable, smallest translation unit.
  addressTranslation: [{ offset: 6, width: 2, writable: 0x801f, zeroed: 0x8000 }],
  // §10.5.2: enable, reset; outstanding page request allocation.
  pageRequest: [
    { offset: 4, width: 2, writable: 0x0001, zeroed: 0x0001 },
    { offset: 6, width: 2, clearable: 0x0003 },
    { offset: 0x0c, width: 4, writable: ALL },
  ],
  // §7.8.9.3.
  processAddressSpaceId: [{ offset: 6, width: 2, writable: 0x0007, zeroed: 0x0007 }],
  // §7.8.2.
  latencyTolerance: [
    { offset: 4, width: 2, writable: 0x1fff },
    { offset: 6, width: 2, writable: 0x1fff },
  ],
  // §7.8.3.
  l1Substates: [
    { offset: 8, width: 4, writable: 0xe3ff_ff1f },
    { offset: 0x0c, width: 4, writable: 0x0000_00fb },
  ],
  // §7.9.15.3.
  precisionTime: [{ offset: 8, width: 4, writable: 0x0000_ff03 }],
  // §9.3.3: control, NumVFs, System Page Size. VF BARs follow their sizes.
  singleRootIov: [
    { offset: sriov.control.offset, width: 2, writable: 0x001f, zeroed: 0x0009 },
    { offset: sriov.numVfs.offset, width: 2, writable: 0xffff, zeroed: 0xffff },
    { offset: sriov.systemPageSize.offset, width: 4, writable: ALL },
  ],
};

/** The rest of an MSI capability. §7.7.1: a wide address has an upper half, and what follows moves up. */
export function msiBits(wide: boolean, masking: boolean): RegisterBits[] {
  const data = wide ? 12 : 8;
  return [
    { offset: 4, width: 4, writable: 0xffff_fffc, zeroed: ALL },
    ...(wide ? [{ offset: 8, width: 4, writable: ALL, zeroed: ALL } as const] : []),
    { offset: data, width: 2, writable: 0xffff, zeroed: 0xffff },
    ...(masking ? [{ offset: data + 4, width: 4, writable: ALL, zeroed: ALL } as const] : []),
  ];
}
