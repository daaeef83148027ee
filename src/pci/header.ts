import { packed, setBits } from './layout.js';

/** The first 16 bytes of every header. PCI Express Base 6.0 §7.5.1.1. */
export const common = packed('common header', 0x00, 0x10, [
  ['vendorId', 2],
  ['deviceId', 2],
  ['command', 2],
  ['status', 2],
  ['revisionId', 1],
  ['classCode', 3],
  ['cacheLineSize', 1],
  ['latencyTimer', 1],
  ['headerType', 1],
  ['bist', 1],
]);

/** Type 0, a device. PCI Express Base 6.0 §7.5.1.2. */
export const type0 = packed('type 0 header', 0x10, 0x30, [
  ['bar0', 4],
  ['bar1', 4],
  ['bar2', 4],
  ['bar3', 4],
  ['bar4', 4],
  ['bar5', 4],
  ['cardbusCisPointer', 4],
  ['subsystemVendorId', 2],
  ['subsystemId', 2],
  ['expansionRom', 4],
  ['capabilitiesPointer', 1],
  ['reserved', 7],
  ['interruptLine', 1],
  ['interruptPin', 1],
  ['minGnt', 1],
  ['maxLat', 1],
]);

/** Type 1, a bridge. PCI Express Base 6.0 §7.5.1.3; PCI-to-PCI Bridge Architecture 1.2 §3.2. */
export const type1 = packed('type 1 header', 0x10, 0x30, [
  ['bar0', 4],
  ['bar1', 4],
  ['primaryBus', 1],
  ['secondaryBus', 1],
  ['subordinateBus', 1],
  ['secondaryLatencyTimer', 1],
  ['ioBase', 1],
  ['ioLimit', 1],
  ['secondaryStatus', 2],
  ['memoryBase', 2],
  ['memoryLimit', 2],
  ['prefetchableBase', 2],
  ['prefetchableLimit', 2],
  ['prefetchableBaseUpper32', 4],
  ['prefetchableLimitUpper32', 4],
  ['ioBaseUpper16', 2],
  ['ioLimitUpper16', 2],
  ['capabilitiesPointer', 1],
  ['reserved', 3],
  ['expansionRom', 4],
  ['interruptLine', 1],
  ['interruptPin', 1],
  ['bridgeControl', 2],
]);

/** BAR registers that a header has: six in a device, two in a bridge, none that is known elsewhere. */
export const barCount = (headerType: number): number => (headerType === 0 ? 6 : headerType === 1 ? 2 : 0);

/** The register of BAR `index`: both headers have BAR 0 at the same offset. */
export const barRegister = (index: number): number => type0.bar0.offset + 4 * index;

/** The expansion ROM's register. */
export const romRegister = (headerType: number): number =>
  headerType === 1 ? type1.expansionRom.offset : type0.expansionRom.offset;

/** Header Type register: the layout in bits 6:0, multi-function in bit 7. PCI Express Base 6.0 §7.5.1.1.9. */
export const headerLayout = (headerType: number): number => headerType & 0x7f;
export const MULTIFUNCTION = 0x80;

/** Bit numbers of the Command register. PCI Express Base 6.0 §7.5.1.1.3. */
export const commandBits = {
  ioSpace: 0,
  memorySpace: 1,
  busMaster: 2,
  specialCycles: 3,
  memoryWriteAndInvalidate: 4,
  vgaPaletteSnoop: 5,
  parityErrorResponse: 6,
  serrEnable: 8,
  fastBackToBackEnable: 9,
  interruptDisable: 10,
} as const;

/** The Command register's masks that pinbar writes. */
export const Command = { io: 1, memory: 2, busMaster: 4 } as const;
/** Address decoding of either kind. */
export const DECODE = Command.io | Command.memory;

/** Bit numbers of the Status register. PCI Express Base 6.0 §7.5.1.1.4. */
export const statusBits = {
  immediateReadiness: 0,
  interrupt: 3,
  capabilityList: 4,
  capable66MHz: 5,
  fastBackToBackCapable: 7,
  masterDataParityError: 8,
  signaledTargetAbort: 11,
  receivedTargetAbort: 12,
  receivedMasterAbort: 13,
  signaledSystemError: 14,
  detectedParityError: 15,
} as const;

/** Status bits that software clears by writing 1. */
export const STATUS_WRITE_1_TO_CLEAR = 0xf900;

export const commandFlags = (command: number) => setBits(commandBits, command);
export const statusFlags = (status: number) => setBits(statusBits, status);
