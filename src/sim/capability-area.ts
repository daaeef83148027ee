import type { MachineFunction } from '../machine/model.js';
import { barTypeBits, barWritableBits } from '../pci/bar.js';
import { accessControlServices } from '../pci/capabilities/acs.js';
import { advancedErrorReporting } from '../pci/capabilities/aer.js';
import { alternativeRoutingId } from '../pci/capabilities/ari.js';
import { express } from '../pci/capabilities/express.js';
import { standardHotplug } from '../pci/capabilities/hotplug.js';
import { msix } from '../pci/capabilities/msix.js';
import { singleRootIov, sriovRegisters } from '../pci/capabilities/sriov.js';
import { vendorSpecific } from '../pci/capabilities/vendor-specific.js';
import { type0 } from '../pci/header.js';
import type { RegisterFile } from './registers.js';

/** Appends capabilities to both lists of a register file. */
export class CapabilityArea {
  #standard = 0x40;
  #standardLink: number = type0.capabilitiesPointer.offset;
  #extended = 0x100;
  #lastHeader: { at: number; value: number } | null = null;

  constructor(readonly registers: RegisterFile) {}

  /** Room for a standard capability of `size` bytes; returns its register. */
  standard(id: number, size: number): number {
    const at = this.#standard;
    this.registers.define(this.#standardLink, 1, at).define(at, 1, id);
    this.#standardLink = at + 1;
    this.#standard = (at + size + 3) & ~3;
    return at;
  }

  /** Room for an extended capability; returns its register. */
  extended(id: number, version: number, size: number): number {
    const at = this.#extended;
    if (this.#lastHeader) {
      this.registers.define(this.#lastHeader.at, 4, this.#lastHeader.value + at * 2 ** 20);
    }
    this.#lastHeader = { at, value: id + version * 2 ** 16 };
    this.registers.define(at, 4, this.#lastHeader.value);
    this.#extended = (at + size + 3) & ~3;
    return at;
  }
}

/** Device/Port Type values. PCI Express Base 6.0 §7.5.3.2. */
export const portType = {
  endpoint: 0,
  'root-port': 4,
  'upstream-port': 5,
  'downstream-port': 6,
  'pcie-pci-bridge': 7,
  'integrated-endpoint': 9,
} as const;

/** PCI Express capability, version 2; downstream ports can forward ARI, slots are there where the port is hot-pluggable. */
export function addExpress(area: CapabilityArea, type: keyof typeof portType, hotplug: boolean, slotNumber: number) {
  const at = area.standard(express.id, express.size);
  const r = area.registers;
  const downstream = type === 'root-port' || type === 'downstream-port';
  r.define(at + 0x02, 2, 2 | (portType[type] << 4) | (downstream ? 1 << 8 : 0));
  r.define(at + 0x04, 4, 1 << 15).define(at + 0x08, 2, 0, 0x7fff);
  r.define(at + 0x0a, 2, 0, 0, 0x000f);
  if (type !== 'integrated-endpoint')
    r.define(at + 0x0c, 4, 0x11)
      .define(at + 0x10, 2, 0, 0x0fff)
      .define(at + 0x12, 2, 0x11);
  if (downstream) {
    r.define(at + 0x14, 4, slotNumber * 2 ** 19 + (hotplug ? 0x60 : 0)).define(at + 0x18, 2, 0, 0x1fff);
    r.define(at + 0x1a, 2, 0x40, 0, 0x011f);
    r.define(at + 0x24, 4, 1 << 5).define(at + 0x28, 2, 0, 1 << 5);
  }
  return at;
}

export function addMsix(area: CapabilityArea, bar: number): void {
  const at = area.standard(msix.id, msix.size);
  area.registers
    .define(at + 2, 2, 1, 0xc000)
    .define(at + 4, 4, bar)
    .define(at + 8, 4, bar | 0x800);
}

export function addStandardHotplug(area: CapabilityArea): void {
  const at = area.standard(standardHotplug.id, standardHotplug.size);
  area.registers.define(at + 2, 1, 0, 0xff).define(at + 4, 4, 0);
}

/** QEMU's resource reservation, as include/hw/pci/pci_bridge.h lays it out; all ones where nothing is asked for. */
export function addQemuReservation(area: CapabilityArea, fn: MachineFunction): void {
  if (!fn.bridge) return;
  const wish = fn.bridge.reserve;
  const at = area.standard(vendorSpecific.id, 32);
  const none = 0xffff_ffff;
  const low = (size: bigint) => (size === 0n ? none : Number(size & 0xffff_ffffn));
  const high = (size: bigint) => (size === 0n ? none : Number(size >> 32n));
  const wide = fn.bridge.prefetchable === 64;
  area.registers
    .define(at + 2, 1, 32)
    .define(at + 3, 1, 1)
    .define(at + 4, 4, wish.buses === 0 ? none : wish.buses)
    .define(at + 8, 4, low(wish.io))
    .define(at + 12, 4, high(wish.io))
    .define(at + 16, 4, low(wish.memory))
    .define(at + 20, 4, wide ? none : low(wish.prefetchable))
    .define(at + 24, 4, wide ? low(wish.prefetchable) : none)
    .define(at + 28, 4, wide ? high(wish.prefetchable) : none);
}

export function addErrorReporting(area: CapabilityArea): void {
  const at = area.extended(advancedErrorReporting.id, 2, 0x48);
  area.registers.define(at + 4, 4, 0, 0, 0x03ff_f010).define(at + 0x10, 4, 0, 0, 0xf1c1);
}

export function addAccessControl(area: CapabilityArea): void {
  const at = area.extended(accessControlServices.id, 1, accessControlServices.size);
  area.registers.define(at + 4, 2, 0x1d).define(at + 6, 2, 0, 0x1d);
}

export function addAri(area: CapabilityArea, nextFunction: number): void {
  const at = area.extended(alternativeRoutingId.id, 1, alternativeRoutingId.size);
  area.registers.define(at + 4, 2, nextFunction << 8);
}

/** SR-IOV with its VF BARs, which follow the machine's sizes at a system page size of 4 KiB. Returns its register. */
export function addSriov(area: CapabilityArea, sriov: NonNullable<MachineFunction['sriov']>): number {
  const at = area.extended(singleRootIov.id, 1, singleRootIov.size);
  const f = sriovRegisters;
  const define = (field: { offset: number; width: number }, value: number, writable = 0) =>
    area.registers.define(at + field.offset, field.width, value, writable);
  define(f.control, 0, 0x19);
  define(f.initialVfs, sriov.totalVfs);
  define(f.totalVfs, sriov.totalVfs);
  define(f.numVfs, 0, 0xffff);
  define(f.firstVfOffset, sriov.firstVfOffset);
  define(f.vfStride, sriov.vfStride);
  define(f.vfDeviceId, 0x0005);
  define(f.supportedPageSizes, 0x553);
  define(f.systemPageSize, 1, 0x553);
  defineBars(area.registers, at + f.bar0.offset, sriov.bars);
  return at;
}

/** BAR registers from `register` on: type bits hardwired, bits below the size hardwired to zero, the rest writable. */
export function defineBars(registers: RegisterFile, register: number, bars: MachineFunction['bars']): void {
  for (const bar of bars) {
    const [low, high] = barWritableBits(bar, bar.size);
    const at = register + 4 * bar.index;
    registers.define(at, 4, barTypeBits(bar), low);
    if (high !== undefined) registers.define(at + 4, 4, 0, high);
  }
}
