import { parseSize } from '../address/format.js';
import { isPowerOfTwo } from '../address/align.js';
import { decodeCapabilities } from '../pci/capabilities/chain.js';
import { enhancedAllocation } from '../pci/capabilities/enhanced-allocation.js';
import { extendedById, standardById } from '../pci/capabilities/index.js';
import { resizableBar } from '../pci/capabilities/resizable-bar.js';
import { singleRootIov, sriovRegisters } from '../pci/capabilities/sriov.js';
import { formatBdf, parseBdf, type Bdf } from '../pci/bdf.js';
import { ConfigBytes } from '../pci/config-bytes.js';
import { barTypeBits } from '../pci/bar.js';
import { common, statusBits, type0 } from '../pci/header.js';
import { Problem } from '../problem/problem.js';
import type { TwinBar, TwinFunction } from './function.js';

/** A capability that a function is to have beside those that were captured. */
export type Addition = { readonly at: Bdf } & (
  | { readonly kind: 'ea' }
  | { readonly kind: 'resizable'; readonly bar: number; readonly smallest: bigint }
  | { readonly kind: 'sriov'; readonly vfs: number; readonly size: bigint }
);

/**
 * `0000:01:00.0=ea`, `…=resizable:bar2:64MiB` (from that size up to the captured one), `…=sriov:16:2MiB` (VFs, and one VF's BAR 0).
 * @throws Problem `twin-add`, `bdf-syntax`, `size-…`
 */
export function parseAddition(text: string): Addition {
  const match = /^([^=]+)=(?:(ea)|resizable:bar([0-5]):(\w+)|sriov:(\d{1,5}):(\w+))$/.exec(text);
  const [, address = '', ea, bar, smallest, vfs, size] = match ?? [];
  if (ea) return { at: parseBdf(address), kind: 'ea' };
  if (bar !== undefined && smallest !== undefined) {
    return { at: parseBdf(address), kind: 'resizable', bar: Number(bar), smallest: power(smallest, MiB, text) };
  }
  if (vfs !== undefined && size !== undefined && Number(vfs) >= 1 && Number(vfs) <= 0xffff) {
    return { at: parseBdf(address), kind: 'sriov', vfs: Number(vfs), size: power(size, 4096n, text) };
  }
  throw new Problem('twin-add', `"${text.slice(0, 80)}" does not say what is added`, {
    hint: 'write ADDRESS=ea, ADDRESS=resizable:barN:SMALLEST or ADDRESS=sriov:VFS:SIZE',
  });
}

const MiB = 1n << 20n;

function power(text: string, least: bigint, whole: string): bigint {
  const size = parseSize(text);
  if (isPowerOfTwo(size) && size >= least && size < 1n << 63n) return size;
  throw new Problem('twin-add', `${whole.slice(0, 80)}: a size is a power of two, and here at least ${least} bytes`);
}

/**
 * A function with capabilities added, its BARs' addresses on the host being what EA fixes.
 * @param addresses of its BARs by index
 * @throws Problem `twin-add` where there is no room, or nothing that it could be about
 */
export function withAdditions(
  fn: TwinFunction,
  additions: readonly Addition[],
  addresses: ReadonlyMap<number, bigint>,
): TwinFunction {
  return additions.reduce((made, addition) => {
    switch (addition.kind) {
      case 'ea':
        return addEnhancedAllocation(made, addresses);
      case 'resizable':
        return addResizable(made, addition.bar, addition.smallest);
      case 'sriov':
        return addSriov(made, addition.vfs, addition.size);
      default:
        return addition satisfies never;
    }
  }, fn);
}

/** PCI Express Base 6.0 §7.8.5.3: each BAR is at its address for good. A base has 64 bits, an offset as many as it needs. */
function addEnhancedAllocation(fn: TwinFunction, addresses: ReadonlyMap<number, bigint>): TwinFunction {
  const entries = fn.bars.flatMap((bar) => {
    const base = addresses.get(bar.index);
    if (base === undefined) return [];
    const last = bar.size - 1n;
    const wide = last >> 32n !== 0n;
    const properties = bar.type === 'io' ? 2 : bar.prefetchable ? 1 : 0;
    const format = 0x8000_0000 + (0xff << 16) + (properties << 8) + (bar.index << 4) + (wide ? 4 : 3);
    return [
      format,
      low(base & ~0b11n) + 0b10,
      low(last & ~0b11n) + (wide ? 0b10 : 0),
      Number(base >> 32n),
      ...(wide ? [Number(last >> 32n)] : []),
    ];
  });
  const count = fn.bars.filter(({ index }) => addresses.has(index)).length;
  if (count === 0) throw none(fn, 'the capture has no address for any of its BARs, which EA would fix');
  const config = copyOf(fn.config);
  const at = standardRoom(fn, 4 + 4 * entries.length);
  const first = config.has(0x34) && hasList(config) ? config.u8(type0.capabilitiesPointer.offset) : 0;
  config.set(at, enhancedAllocation.id + first * 0x100 + count * 0x1_0000);
  entries.forEach((entry, i) => config.set(at + 4 + 4 * i, entry));
  config.set(0x34, at);
  config.set(4, (config.u32(4) | (1 << (16 + statusBits.capabilityList))) >>> 0);
  return { ...fn, config };
}

/** §7.8.6: every size from `smallest` to the captured one, which is chosen. */
function addResizable(fn: TwinFunction, index: number, smallest: bigint): TwinFunction {
  const bar = fn.bars.find((one) => one.index === index);
  if (!bar || bar.size < smallest || bar.type === 'io') throw none(fn, `it has no BAR ${index} of at least that size`);
  const step = (size: bigint) => size.toString(2).length - 21;
  let sizes = 0n;
  for (let n = step(smallest); n <= step(bar.size); n++) sizes |= 1n << BigInt(n);
  const capability = low(sizes << 4n) & ~0xf;
  const control = index + (1 << 5) + (step(bar.size) << 8) + Number((sizes >> 28n) & 0xffffn) * 0x1_0000;
  return addExtended(fn, resizableBar.id, [capability >>> 0, control]);
}

/** §9.3.3: as many VFs, next to each other, each with one 64-bit prefetchable BAR. */
function addSriov(fn: TwinFunction, vfs: number, size: bigint): TwinFunction {
  const vfBar: TwinBar = { index: 0, type: 'mem64', prefetchable: true, size };
  const words = Array.from({ length: singleRootIov.size / 4 - 1 }, () => 0);
  const set = (field: { offset: number }, value: number) => (words[field.offset / 4 - 1] = value);
  set(sriovRegisters.initialVfs, vfs + vfs * 0x1_0000);
  set(sriovRegisters.firstVfOffset, 1 + 1 * 0x1_0000);
  words[sriovRegisters.reserved.offset / 4 - 1] = fn.device * 0x1_0000;
  set(sriovRegisters.supportedPageSizes, 0x553);
  set(sriovRegisters.systemPageSize, 1);
  set(sriovRegisters.bar0, barTypeBits(vfBar));
  return { ...addExtended(fn, singleRootIov.id, words), vfBars: [vfBar] };
}

/** Puts a capability of version 1 at the end of the extended list. */
function addExtended(fn: TwinFunction, id: number, words: readonly number[]): TwinFunction {
  const config = copyOf(fn.config);
  const list = decodeCapabilities(config).capabilities.filter(({ extended }) => extended);
  if (list.some((one) => one.id === id)) throw none(fn, `it has ${extendedById.get(id)?.decoder.name ?? 'it'} already`);
  const ends = list.map((one) => one.at + (extendedById.get(one.id)?.decoder.size ?? 0x40));
  const at = (Math.max(0x100, ...ends) + 15) & ~15;
  if (at + 4 + 4 * words.length > 0x1000) throw none(fn, 'its extended config space is full');
  const last = list.find((one) => config.u32(one.at) >>> 20 === 0);
  if (last) config.set(last.at, (config.u32(last.at) & 0xf_ffff) + at * 2 ** 20);
  config.set(at, id + 0x1_0000);
  words.forEach((word, i) => config.set(at + 4 + 4 * i, word));
  return { ...fn, config };
}

/** A gap of zeros in the first 256 bytes that no capability takes. What is unknown is taken to have 32 bytes. */
function standardRoom(fn: TwinFunction, size: number): number {
  const list = decodeCapabilities(fn.config).capabilities.filter(({ extended }) => !extended);
  if (list.some(({ id }) => id === enhancedAllocation.id)) throw none(fn, 'it has Enhanced Allocation already');
  const taken = list.map((one) => ({ at: one.at, end: one.at + (standardById.get(one.id)?.decoder.size ?? 32) }));
  for (let at = 0x40; at + size <= 0x100; at += 4) {
    const free = taken.every((one) => at >= one.end || at + size <= one.at);
    const zero = free && Array.from({ length: size / 4 }, (_, i) => at + 4 * i).every((r) => isZero(fn.config, r));
    if (zero) return at;
  }
  throw none(fn, `its first 256 bytes have no ${size} free ones in a row`);
}

const isZero = (config: ConfigBytes, register: number) => !config.has(register) || config.u32(register) === 0;
const hasList = (config: ConfigBytes) => (config.field(common.status) & (1 << statusBits.capabilityList)) !== 0;
const low = (value: bigint) => Number(value & 0xffff_ffffn);

const none = (fn: TwinFunction, why: string) =>
  new Problem('twin-add', `nothing can be added to ${formatBdf(fn.address)}: ${why}`);

function copyOf(config: ConfigBytes): ConfigBytes {
  const copy = new ConfigBytes();
  for (let at = 0; at < 0x1000; at += 4) if (config.has(at)) copy.set(at, config.u32(at));
  return copy;
}
