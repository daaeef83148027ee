import { bit, field, named } from '../layout.js';
import type { CapDecoder, CapView } from './view.js';

/** Device/Port Type. PCI Express Base 6.0 §7.5.3.2. */
export const portTypes = {
  0: 'endpoint',
  1: 'legacy-endpoint',
  4: 'root-port',
  5: 'upstream-port',
  6: 'downstream-port',
  7: 'pcie-pci-bridge',
  8: 'pci-pcie-bridge',
  9: 'integrated-endpoint',
  10: 'event-collector',
} as const;

/** Offset of Device Control 2, and its ARI Forwarding Enable bit. §7.5.3.16. */
export const DEVICE_CONTROL_2 = 0x28;
export const ARI_FORWARDING_ENABLE = 1 << 5;

function link(cap: CapView) {
  const capabilities = cap.u32(0x0c);
  const status = cap.u16(0x12);
  return {
    /** 1: 2.5 GT/s, 2: 5, 3: 8, 4: 16, 5: 32, 6: 64. */
    maxSpeed: field(capabilities, 0, 4),
    maxWidth: field(capabilities, 4, 6),
    activeReporting: bit(capabilities, 20),
    port: field(capabilities, 24, 8),
    speed: field(status, 0, 4),
    width: field(status, 4, 6),
    active: bit(status, 13),
  };
}

function slot(cap: CapView) {
  const capabilities = cap.u32(0x14);
  const status = cap.u16(0x1a);
  return {
    attentionButton: bit(capabilities, 0),
    powerController: bit(capabilities, 1),
    hotplugSurprise: bit(capabilities, 5),
    hotplugCapable: bit(capabilities, 6),
    physicalNumber: field(capabilities, 19, 13),
    presenceDetected: bit(status, 6),
  };
}

export const express = {
  id: 0x10,
  name: 'PCI Express',
  spec: 'PCI Express Base 6.0 §7.5.3',
  size: 0x3c,
  decode(cap: CapView) {
    const capabilities = cap.u16(2);
    const device = cap.u32(4);
    const version = field(capabilities, 0, 4);
    const type = field(capabilities, 4, 4);
    // Integrated endpoints and event collectors have no link; the second half came with version 2.
    const hasLink = type !== 9 && type !== 10;
    const hasSlot = bit(capabilities, 8) && (type === 4 || type === 6);
    return {
      version,
      portType: named(portTypes, type),
      slotImplemented: bit(capabilities, 8),
      interruptMessage: field(capabilities, 9, 5),
      /** Bytes. */
      maxPayloadSupported: 128 << field(device, 0, 3),
      maxPayload: 128 << field(cap.u16(8), 5, 3),
      functionLevelReset: bit(device, 28),
      link: hasLink ? link(cap) : null,
      slot: hasSlot ? slot(cap) : null,
      ariForwardingSupported: version >= 2 && bit(cap.u32(0x24), 5),
      ariForwardingEnabled: version >= 2 && bit(cap.u16(DEVICE_CONTROL_2), 5),
      /** Device Control 2 as it stands: what has to be kept when one bit of it is written. */
      deviceControl2: version >= 2 ? cap.u16(DEVICE_CONTROL_2) : 0,
    };
  },
} as const satisfies CapDecoder;
