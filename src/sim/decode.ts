import type { AddressRange } from '../address/range.js';
import type { HostWindow } from '../machine/model.js';
import { ROM_ENABLE, ROM_MASK } from '../pci/bar.js';
import { decodeIoWindow, decodeMemoryWindow, decodePrefetchableWindow } from '../pci/bridge-window.js';
import { sriovRegisters, VF_ENABLE, VF_MEMORY_SPACE } from '../pci/capabilities/sriov.js';
import { Command, barRegister, common, romRegister, type1 } from '../pci/header.js';
import type { SimFunction } from './function.js';

/** What answers an address: a BAR by number, the ROM, or BAR `index` of VF `vf` (from 1). */
export type Region =
  | { readonly kind: 'bar'; readonly index: number }
  | { readonly kind: 'rom' }
  | { readonly kind: 'vf'; readonly index: number; readonly vf: number };

export interface Hit {
  /** The function's id in the machine. */
  readonly id: string;
  readonly region: Region;
  /** Bytes from the region's start. */
  readonly offset: bigint;
}

export type Space = 'io' | 'memory';

const dword = (fn: SimFunction, register: number) => fn.registers.read(register, 4);

/** Offset of `address` in `size` bytes from `base`, or null. */
const within = (address: bigint, base: bigint, size: bigint) =>
  address >= base && address - base < size ? address - base : null;

/** The address in a BAR's registers: bits below its size are hardwired to zero, so masking the type bits is enough. */
function barAddress(fn: SimFunction, register: number, type: 'io' | 'mem32' | 'mem64'): bigint {
  const low = BigInt((dword(fn, register) & (type === 'io' ? ~0b11 : ~0b1111)) >>> 0);
  return type === 'mem64' ? low | (BigInt(dword(fn, register + 4)) << 32n) : low;
}

function own(fn: SimFunction, space: Space, address: bigint): Hit[] {
  const hits: Hit[] = [];
  for (const bar of fn.model.bars) {
    if ((bar.type === 'io') !== (space === 'io')) continue;
    const offset = within(address, barAddress(fn, barRegister(bar.index), bar.type), bar.size);
    if (offset !== null) hits.push({ id: fn.id, region: { kind: 'bar', index: bar.index }, offset });
  }
  if (space === 'memory' && fn.model.rom) {
    const register = dword(fn, romRegister(fn.model.bridge ? 1 : 0));
    const offset = within(address, BigInt((register & ROM_MASK) >>> 0), fn.model.rom.size);
    if (register & ROM_ENABLE && offset !== null) hits.push({ id: fn.id, region: { kind: 'rom' }, offset });
  }
  return hits;
}

/** VF BARs answer by VF Memory Space Enable, not by the PF's Command register. PCI Express Base 6.0 §9.3.3.3.4. */
function virtual(fn: SimFunction, address: bigint): Hit[] {
  const { sriov } = fn.model;
  if (!sriov || fn.at.sriov === 0) return [];
  const control = fn.registers.read(fn.at.sriov + sriovRegisters.control.offset, 2);
  if ((control & (VF_ENABLE | VF_MEMORY_SPACE)) !== (VF_ENABLE | VF_MEMORY_SPACE)) return [];
  const vfs = BigInt(fn.registers.read(fn.at.sriov + sriovRegisters.numVfs.offset, 2));
  return sriov.bars.flatMap((bar) => {
    const base = barAddress(fn, fn.at.sriov + sriovRegisters.bar0.offset + 4 * bar.index, bar.type);
    const offset = within(address, base, bar.size * vfs);
    if (offset === null) return [];
    const vf = Number(offset / bar.size) + 1;
    return [{ id: fn.id, region: { kind: 'vf', index: bar.index, vf } as const, offset: offset % bar.size }];
  });
}

/** The windows of a bridge as its registers stand. */
export function windowsOf(fn: SimFunction): Record<'io' | 'memory' | 'prefetchable', AddressRange | null> {
  const { io = 0, prefetchable = 0 } = fn.model.bridge ?? {};
  return {
    io: io ? decodeIoWindow(fn.registers.read(type1.ioBase.offset, 2), dword(fn, type1.ioBaseUpper16.offset)) : null,
    memory: decodeMemoryWindow(dword(fn, type1.memoryBase.offset)),
    prefetchable: prefetchable
      ? decodePrefetchableWindow(
          dword(fn, type1.prefetchableBase.offset),
          dword(fn, type1.prefetchableBaseUpper32.offset),
          dword(fn, type1.prefetchableLimitUpper32.offset),
        )
      : null,
  };
}

function forwards(fn: SimFunction, space: Space, address: bigint): boolean {
  const { io, memory, prefetchable } = windowsOf(fn);
  return (space === 'io' ? [io] : [memory, prefetchable]).some((window) => window?.contains(address) ?? false);
}

/** Everything on a bus and behind it that answers a bus address, by the registers as they stand now. */
export function decodeOnBus(functions: readonly SimFunction[], space: Space, address: bigint): Hit[] {
  return functions.flatMap((fn) => {
    const command = fn.registers.read(common.command.offset, 2);
    const enabled = (command & (space === 'io' ? Command.io : Command.memory)) !== 0;
    return [
      ...(enabled ? own(fn, space, address) : []),
      ...(space === 'memory' ? virtual(fn, address) : []),
      ...(enabled && fn.model.bridge && forwards(fn, space, address) ? decodeOnBus(fn.children, space, address) : []),
    ];
  });
}

/** The bus address that a CPU address becomes in a host bridge's windows, or null where none of them holds it. */
export function throughHostWindow(windows: readonly HostWindow[], space: Space, cpu: bigint): bigint | null {
  for (const window of windows) {
    if ((window.type === 'io') !== (space === 'io')) continue;
    const offset = within(cpu, window.cpuBase, window.size);
    if (offset !== null) return window.base + offset;
  }
  return null;
}
