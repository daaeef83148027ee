import type { AddressRange } from '../address/range.js';
import { decodeBars, decodeRom } from '../pci/bar.js';
import { decodeIoWindow, decodeMemoryWindow, decodePrefetchableWindow, ioWidth } from '../pci/bridge-window.js';
import { decodeCapabilities } from '../pci/capabilities/chain.js';
import { capability, type Capability } from '../pci/capabilities/index.js';
import { UnreadRegister, type ConfigBytes } from '../pci/config-bytes.js';
import { barCount, barRegister, Command, common, headerLayout, romRegister, type0, type1 } from '../pci/header.js';
import type { CapabilityFacts, FixedRange, ResizableFacts, SriovFacts } from './function-facts.js';
import type { FunctionDraft, Placement, ResourceName, Source } from './observation.js';

/** What registers say of a function; sizes of BARs are not among it, because nothing was written to learn them. */
export type ConfigFacts = Omit<FunctionDraft, 'address' | 'source'>;

/**
 * Decodes what was read of a function's config space, 64 to 4096 bytes. Undefined where nothing answered: a function that
 * is asleep or gone reads as all ones. What lies past the bytes that were read is left out, never taken for zero.
 */
export function configFacts(config: ConfigBytes, source: Source): ConfigFacts | undefined {
  if (!config.has(0) || config.u32(0) === 0xffff_ffff) return undefined;
  const facts: ConfigFacts = { resources: [] };
  const parts = [identity, resources, bridge, capabilities] as const;
  for (const part of parts) {
    try {
      part(facts, config, source);
    } catch (error) {
      if (!(error instanceof UnreadRegister)) throw error;
    }
  }
  return facts;
}

function identity(facts: ConfigFacts, config: ConfigBytes) {
  // A virtual function's ids read as all ones (PCI Express Base 6.0 §9.3.4.1.1): the kernel knows them from its PF.
  const vendor = config.field(common.vendorId);
  if (vendor !== 0xffff) {
    facts.vendor = vendor;
    facts.device = config.field(common.deviceId);
  }
  facts.revision = config.field(common.revisionId);
  facts.class = config.field(common.classCode);
  const command = config.field(common.command);
  facts.decodes = { io: (command & Command.io) !== 0, memory: (command & Command.memory) !== 0 };
  const headerType = headerLayout(config.field(common.headerType));
  facts.headerType = headerType;
  facts.isBridge = headerType === 1;
  if (headerType !== 0) return;
  const subsystem = { vendor: config.field(type0.subsystemVendorId), device: config.field(type0.subsystemId) };
  if (subsystem.vendor !== 0 && subsystem.vendor !== 0xffff) facts.subsystem = subsystem;
}

function resources(facts: ConfigFacts, config: ConfigBytes, source: Source) {
  const headerType = facts.headerType ?? 0;
  const count = barCount(headerType);
  const { bars } = decodeBars(
    Array.from({ length: count }, (_, index) => config.u32(barRegister(index))),
    null,
  );
  const decodes = facts.decodes ?? { io: false, memory: false };
  for (const { index, type, prefetchable, address } of bars) {
    const space = type === 'io' ? 'io' : 'memory';
    const kind = space === 'io' ? {} : { wide: type === 'mem64', prefetchable };
    const placement = placed(address, decodes[space]);
    facts.resources.push({ name: index, space, ...kind, placement, numbers: 'bus', source });
  }
  const rom = count > 0 ? decodeRom(config.u32(romRegister(headerType)), null) : null;
  if (!rom) return;
  const placement = placed(rom.address, rom.enabled && decodes.memory);
  facts.resources.push({ name: 'rom', space: 'memory', placement, numbers: 'bus', source });
}

/** No address is what a register that nobody wrote holds; its type bits alone show that there is a BAR. */
function placed(address: bigint, decoded: boolean): Placement {
  if (address === 0n) return { state: 'unassigned', why: 'listed-so' };
  return { state: decoded ? 'assigned' : 'decode-off', address };
}

function bridge(facts: ConfigFacts, config: ConfigBytes, source: Source) {
  if (facts.headerType !== 1) return;
  const secondary = config.field(type1.secondaryBus);
  facts.buses = { secondary, subordinate: config.field(type1.subordinateBus), source };
  const u32 = ({ offset }: { offset: number }) => config.u32(offset);
  const ports = config.u16(type1.ioBase.offset);
  const low = u32(type1.prefetchableBase);
  const window = (name: ResourceName, range: AddressRange | null, absent: boolean) => {
    const space = name === 'io' ? 'io' : 'memory';
    const open = range && !absent;
    const placement: Placement = open ? { state: 'assigned', address: range.base } : { state: 'closed' };
    facts.resources.push({ name, space, ...(open ? { size: range.size } : {}), placement, numbers: 'bus', source });
  };
  // Registers of a window that a bridge does not have read as zero (PCI-to-PCI Bridge 1.2 §3.2.5.6, §3.2.5.9).
  window('io', decodeIoWindow(ports, u32(type1.ioBaseUpper16)), ports === 0 && ioWidth(ports) === 16);
  window('memory', decodeMemoryWindow(u32(type1.memoryBase)), false);
  const upper = [u32(type1.prefetchableBaseUpper32), u32(type1.prefetchableLimitUpper32)] as const;
  window('prefetchable', decodePrefetchableWindow(low, ...upper), low === 0);
}

function capabilities(facts: ConfigFacts, config: ConfigBytes, source: Source) {
  const list = decodeCapabilities(config).capabilities;
  facts.capabilities = capabilityFacts(list);
  const subsystem = capability(list, 'bridgeSubsystem')?.data;
  if (subsystem && subsystem.vendor !== 0) facts.subsystem = subsystem;
  const sriov = capability(list, 'singleRootIov')?.data;
  for (const { index, type, prefetchable, address } of sriov ? decodeBars(sriov.bars, null).bars : []) {
    if (type === 'io') continue;
    const placement = placed(address, true);
    const kind = { wide: type === 'mem64', prefetchable };
    facts.resources.push({ name: `vf${index}`, space: 'memory', ...kind, placement, numbers: 'bus', source });
  }
}

/** What decoded capabilities say; a kind that is not in the list says nothing. */
export function capabilityFacts(list: readonly Capability[]): CapabilityFacts {
  const express = capability(list, 'express')?.data;
  const sriov = capability(list, 'singleRootIov')?.data;
  const resizable = capability(list, 'resizableBar')?.data;
  const vfResizable = capability(list, 'vfResizableBar')?.data;
  const acs = capability(list, 'accessControlServices')?.data;
  const fixed = capability(list, 'enhancedAllocation')?.data;
  const serial = capability(list, 'deviceSerialNumber')?.data;
  const shpc = capability(list, 'standardHotplug') !== undefined;
  return {
    ...(express && typeof express.portType === 'string' ? { portType: express.portType } : {}),
    ...(express?.slot || shpc ? { hotplug: express?.slot?.hotplugCapable ? 'pcie' : shpc ? 'shpc' : 'none' } : {}),
    ...(express?.ariForwardingEnabled ? { ariForwarding: true } : {}),
    ...(sriov ? { sriov: pick(sriov, sriovKeys) } : {}),
    ...(resizable ? { resizable: resizable.bars.map(resizableFacts) } : {}),
    ...(vfResizable ? { vfResizable: vfResizable.bars.map(resizableFacts) } : {}),
    ...(acs ? { acs } : {}),
    ...(fixed ? { fixed: fixed.entries.map(fixedRange) } : {}),
    ...(serial ? { serial: serial.serial } : {}),
  };
}

const sriovKeys = [
  'enabled',
  'initialVfs',
  'totalVfs',
  'numVfs',
  'firstVfOffset',
  'vfStride',
  'vfDevice',
] as const satisfies readonly (keyof SriovFacts)[];

const pick = <T, K extends keyof T>(values: T, keys: readonly K[]) =>
  Object.fromEntries(keys.map((key) => [key, values[key]])) as Pick<T, K>;

const resizableFacts = ({ index, sizes, size }: Required<ResizableFacts>): ResizableFacts => ({ index, sizes, size });

type Reserved = string | { readonly reserved: number };
const raw = (value: Reserved): string => (typeof value === 'string' ? value : `${value.reserved}`);

const fixedRange = (entry: {
  readonly equivalent: Reserved;
  readonly primary: Reserved;
  readonly base: bigint;
  readonly size: bigint;
  readonly enabled: boolean;
}): FixedRange => ({
  what: raw(entry.equivalent),
  properties: raw(entry.primary),
  base: entry.base,
  size: entry.size,
  enabled: entry.enabled,
});
