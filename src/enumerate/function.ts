import type { BridgeKind } from '../machine/model.js';
import type { Bdf, Slot } from '../pci/bdf.js';
import { decodeIoWindow, decodeMemoryWindow, decodePrefetchableWindow } from '../pci/bridge-window.js';
import { decodeCapabilities, unreadExtended } from '../pci/capabilities/chain.js';
import { capability, type Capability } from '../pci/capabilities/index.js';
import { decodeQemuReservation, RED_HAT } from '../pci/capabilities/vendor-specific.js';
import { readOp } from '../pci/config-access.js';
import { ConfigBytes } from '../pci/config-bytes.js';
import { common, headerLayout, MULTIFUNCTION, type0, type1 } from '../pci/header.js';
import type { Finding } from './findings.js';
import { together, type Steps } from './lockstep.js';
import { probeWindows, sizeBars, sizeVfBars } from './probe.js';
import type { SeenBridge, SeenFunction, SeenSriov } from './topology.js';
import { at as addressOf, type Bus, type Node } from './tree.js';

export interface ProbeOptions {
  /** Registers may be written to learn sizes. */
  readonly write: boolean;
  /** System page size for VF BARs, bytes. */
  readonly pageSize: number;
}

type Report = (finding: Finding) => void;

/**
 * Standard config space of a function whose first dword is known, in one step: 252 bytes that follow each other, which a
 * transport can fetch as one block.
 */
export function* readStandard(at: Bdf, first: number): Steps<ConfigBytes> {
  const registers = Array.from({ length: 63 }, (_, i) => 4 + 4 * i);
  const values = yield registers.map((register) => readOp(at, register, 4));
  const config = new ConfigBytes();
  config.set(0, first);
  registers.forEach((register, i) => config.set(register, values[i] ?? 0xffff_ffff));
  return config;
}

/** The parts of extended config space that the capability list names. */
function* readExtended(at: Bdf, config: ConfigBytes): Steps<void> {
  for (;;) {
    const need = unreadExtended(config);
    if (need.length === 0) return;
    const values = yield need.map((register) => readOp(at, register, 4));
    need.forEach((register, i) => config.set(register, values[i] ?? 0xffff_ffff));
  }
}

function* readCapabilities(
  at: Bdf,
  config: ConfigBytes,
  options: ProbeOptions,
  report: Report,
): Steps<{ capabilities: Capability[]; sriov: SeenSriov | null }> {
  yield* readExtended(at, config);
  const { capabilities, issues } = decodeCapabilities(config);
  for (const issue of issues) report({ at, ...issue });
  const found = capability(capabilities, 'singleRootIov');
  if (!found) return { capabilities, sriov: null };
  const sized = yield* sizeVfBars(at, found.at, config, options, report);
  return { capabilities, sriov: { at: found.at, totalVfs: found.data.totalVfs, ...sized } };
}

function bridgeKind(at: Bdf, capabilities: readonly Capability[], report: Report): BridgeKind {
  const type = capability(capabilities, 'express')?.data.portType;
  if (type === 'root-port' || type === 'upstream-port' || type === 'downstream-port' || type === 'pcie-pci-bridge') {
    return type;
  }
  if (type !== undefined && type !== 'pci-pcie-bridge') {
    report({ at, code: 'port-type', portType: typeof type === 'string' ? type : type.reserved });
  }
  return 'pci-bridge';
}

function describeBridge(
  at: Bdf,
  config: ConfigBytes,
  capabilities: readonly Capability[],
  widths: Pick<SeenBridge, 'io' | 'prefetchable'>,
  report: Report,
): SeenBridge {
  const express = capability(capabilities, 'express');
  const vendor = config.field(common.vendorId);
  const bytes = capability(capabilities, 'vendorSpecific')?.data.bytes;
  const reservation = vendor === RED_HAT && bytes ? decodeQemuReservation(bytes) : null;
  // QEMU's ports come out of reset with closed windows; with io-reserve=0 that value is hardwired, and only the capability
  // tells (hw/pci-bridge/gen_pcie_root_port.c).
  const io = reservation?.io === 0n ? 0 : widths.io;
  const u32 = (field: { offset: number }) => config.u32(field.offset);
  return {
    kind: bridgeKind(at, capabilities, report),
    primary: config.field(type1.primaryBus),
    secondary: config.field(type1.secondaryBus),
    subordinate: config.field(type1.subordinateBus),
    ...widths,
    io,
    reservation,
    windows: {
      io: io ? decodeIoWindow(config.u16(type1.ioBase.offset), u32(type1.ioBaseUpper16)) : null,
      memory: decodeMemoryWindow(u32(type1.memoryBase)),
      prefetchable: widths.prefetchable
        ? decodePrefetchableWindow(
            u32(type1.prefetchableBase),
            u32(type1.prefetchableBaseUpper32),
            u32(type1.prefetchableLimitUpper32),
          )
        : null,
    },
    hotplug: express?.data.slot?.hotplugCapable
      ? 'pcie'
      : capability(capabilities, 'standardHotplug')
        ? 'shpc'
        : 'none',
    express: express?.at ?? 0,
    ari: express?.data.ariForwardingEnabled ?? false,
    functions: [],
  };
}

function subsystemOf(headerType: number, config: ConfigBytes, capabilities: readonly Capability[]) {
  if (headerType === 0) {
    return { vendor: config.field(type0.subsystemVendorId), device: config.field(type0.subsystemId) };
  }
  return capability(capabilities, 'bridgeSubsystem')?.data ?? null;
}

/** Everything else about a function whose standard config space was read. Null: it has gone away meanwhile. */
export function* probeFunction(
  bus: Bus,
  slot: Slot,
  config: ConfigBytes,
  options: ProbeOptions,
  report: Report,
): Steps<Node | null> {
  const at = addressOf(bus, slot);
  if (config.u32(common.revisionId.offset) === 0xffff_ffff && config.u32(0x0c) === 0xffff_ffff) {
    report({ at, code: 'vanished' });
    return null;
  }
  const raw = config.field(common.headerType);
  const headerType = headerLayout(raw);
  if (headerType > 1) report({ at, code: 'header-type', headerType });
  const [{ bars, rom }, { capabilities, sriov }, widths] = yield* together([
    sizeBars(at, headerType, config, options.write, report),
    readCapabilities(at, config, options, report),
    headerType === 1 ? probeWindows(at, config, options.write) : none(),
  ]);
  const seen: Omit<SeenFunction, 'at'> = {
    vendor: config.field(common.vendorId),
    device: config.field(common.deviceId),
    revision: config.field(common.revisionId),
    class: config.field(common.classCode),
    subsystem: subsystemOf(headerType, config, capabilities),
    headerType,
    multifunction: (raw & MULTIFUNCTION) !== 0,
    command: config.field(common.command),
    bars,
    rom,
    sriov,
    capabilities,
    bridge: widths ? describeBridge(at, config, capabilities, widths, report) : null,
    config,
  };
  return {
    bus,
    slot,
    seen,
    behind: null,
    buses: [seen.bridge?.primary ?? 0, seen.bridge?.secondary ?? 0, seen.bridge?.subordinate ?? 0],
    ari: seen.bridge?.ari ?? false,
  };
}

/** A task that asks for nothing. */
function* none(): Steps<null> {
  return null;
}
