import { barTypeBits, barWritableBits, ROM_ENABLE, ROM_MASK } from '../pci/bar.js';
import { decodeCapabilities } from '../pci/capabilities/chain.js';
import { capability, type Capability } from '../pci/capabilities/index.js';
import { sriovRegisters } from '../pci/capabilities/sriov.js';
import type { ConfigBytes } from '../pci/config-bytes.js';
import { barRegister, common, MULTIFUNCTION, STATUS_WRITE_1_TO_CLEAR, type0 } from '../pci/header.js';
import { RegisterFile } from '../sim/registers.js';
import { msiBits, registerBits, type RegisterBits } from './register-bits.js';
import type { TwinBar, TwinFunction } from './function.js';

/** A function's config space as hardware has it. */
export interface TwinRegisters {
  readonly file: RegisterFile;
  readonly capabilities: readonly Capability[];
}

/**
 * Makes live registers of what was captured: the bytes, with the bits writable that the specification says are. After power-on
 * no address is set, nothing is decoded and no interrupt is enabled; all other registers hold what was captured. Dwords that
 * were not captured read as zero.
 */
export function registersOf(fn: TwinFunction): TwinRegisters {
  const { config } = fn;
  const file = new RegisterFile(4096);
  for (const { start, bytes } of config.runs()) bytes.forEach((byte, i) => file.define(start + i, 1, byte));
  header(file, fn);
  const { capabilities } = decodeCapabilities(config);
  for (const cap of capabilities) {
    if (cap.kind === 'raw') continue;
    const bits = registerBits[cap.kind] ?? [];
    const more = cap.kind === 'msi' ? msiBits(cap.data.address64, cap.data.perVectorMasking) : [];
    for (const register of [...bits, ...more]) defineBits(file, config, cap.at, register);
  }
  const sriov = capability(capabilities, 'singleRootIov');
  if (sriov) defineBars(file, sriov.at + sriovRegisters.bar0.offset, fn.vfBars);
  const resizable = capability(capabilities, 'resizableBar');
  resizable?.data.bars.forEach((_, i) => {
    const at = resizable.at + 8 + 8 * i;
    if (config.has(at)) file.define(at, 4, config.u32(at), 0x3f00);
  });
  return { file, capabilities };
}

function header(file: RegisterFile, fn: TwinFunction): void {
  const define = (field: { offset: number; width: number }, value: number, writable = 0, clearable = 0) =>
    file.define(field.offset, field.width, value, writable, clearable);
  define(common.vendorId, fn.vendor);
  define(common.deviceId, fn.device);
  define(common.command, 0, 0x0547);
  const status = file.read(common.status.offset, 2) & ~STATUS_WRITE_1_TO_CLEAR;
  define(common.status, status, 0, STATUS_WRITE_1_TO_CLEAR);
  define(common.cacheLineSize, file.read(common.cacheLineSize.offset, 1), 0xff);
  // Each function has a slot of its own in the guest, or its place beside the others of its device there: QEMU says which.
  define(common.headerType, file.read(common.headerType.offset, 1) & ~MULTIFUNCTION);
  file.define(type0.bar0.offset, 24, 0);
  defineBars(file, type0.bar0.offset, fn.bars);
  const rom = fn.rom === undefined ? 0 : ((Number(-fn.rom & 0xffff_ffffn) & ROM_MASK) | ROM_ENABLE) >>> 0;
  define(type0.expansionRom, 0, rom);
  define(type0.interruptLine, 0, 0xff);
}

/** Type bits are hardwired, bits below the size too, the rest can be written. */
function defineBars(file: RegisterFile, register: number, bars: readonly TwinBar[]): void {
  for (const bar of bars) defineBar(file, register + 4 * bar.index, bar, bar.size);
}

function defineBar(file: RegisterFile, at: number, bar: TwinBar, size: bigint): void {
  const [low, high] = barWritableBits(bar, size);
  file.define(at, 4, barTypeBits(bar), low);
  if (high !== undefined) file.define(at + 4, 4, 0, high);
}

function defineBits(file: RegisterFile, config: ConfigBytes, at: number, bits: RegisterBits): void {
  const register = at + bits.offset;
  if (register + bits.width > 0x1000 || !config.has(register)) return;
  const captured = file.read(register, bits.width);
  const value = (captured & ~(bits.zeroed ?? 0)) >>> 0;
  file.define(register, bits.width, value, bits.writable ?? 0, bits.clearable ?? 0);
}

/** Makes the writable bits of a BAR those of another size; its address is zero then. */
export function resizeBar(file: RegisterFile, bar: TwinBar, size: bigint): void {
  defineBar(file, barRegister(bar.index), bar, size);
}
