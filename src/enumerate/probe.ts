import { decodeBars, decodeRom, ROM_MASK } from '../pci/bar.js';
import type { Bdf } from '../pci/bdf.js';
import { sriovRegisters, VF_BARS, VF_ENABLE } from '../pci/capabilities/sriov.js';
import { readOp, writeOp, type ConfigOp } from '../pci/config-access.js';
import type { ConfigBytes } from '../pci/config-bytes.js';
import { barCount, barRegister, common, DECODE, romRegister, type1 } from '../pci/header.js';
import { encodeIoWindow, encodeMemoryWindow, ioWidth, prefetchableWidth } from '../pci/bridge-window.js';
import type { Finding } from './findings.js';
import type { Steps } from './lockstep.js';
import type { SeenBar, SeenBridge, SeenRom } from './topology.js';

const ALL_ONES = 0xffff_ffff;

/** Writes a value that shows which bits can be written, reads it back, and can put the old value back. */
const ask = (at: Bdf, register: number, ones = ALL_ONES): [ConfigOp, ConfigOp] => [
  writeOp(at, register, 4, ones),
  readOp(at, register, 4),
];

interface Sized {
  readonly bars: readonly SeenBar[];
  readonly rom: SeenRom | null;
}

/**
 * BARs and ROM of a function whose header was read. Where `write` is allowed, decoding is switched off (and back on), all
 * ones are written and every register that took them gets its value back.
 */
export function* sizeBars(
  at: Bdf,
  headerType: number,
  config: ConfigBytes,
  write: boolean,
  report: (finding: Finding) => void,
): Steps<Sized> {
  const registers = Array.from({ length: barCount(headerType) }, (_, i) => barRegister(i));
  if (registers.length === 0) return { bars: [], rom: null };
  const rom = romRegister(headerType);
  const before = registers.map((register) => config.u32(register));
  const romBefore = config.u32(rom);
  if (!write) {
    const { bars, issues } = decodeBars(before, null);
    for (const issue of issues) report({ at, ...issue });
    return { bars, rom: decodeRom(romBefore, null) };
  }
  const command = config.field(common.command);
  const { offset } = common.command;
  const off = command & ~DECODE;
  if (command & DECODE) {
    const [, read = 0] = yield [writeOp(at, offset, 2, off), readOp(at, offset, 2)];
    if (read & DECODE) {
      // Ones in a BAR that still decodes would cover other devices, or RAM.
      report({ at, code: 'command-not-kept', wrote: off, read });
      return { bars: [], rom: null };
    }
  }
  const answers = yield [...registers.flatMap((register) => ask(at, register)), ...ask(at, rom, ROM_MASK)];
  const ones = registers.map((_, i) => answers[2 * i + 1] ?? 0);
  const romOnes = answers[2 * registers.length + 1] ?? 0;
  const restore = [...registers, rom].flatMap((register, i) => {
    const was = i < registers.length ? (before[i] ?? 0) : romBefore;
    return (i < registers.length ? ones[i] : romOnes) === was ? [] : [writeOp(at, register, 4, was)];
  });
  if (command & DECODE) restore.push(writeOp(at, offset, 2, command));
  if (restore.length > 0) yield restore;
  const { bars, issues } = decodeBars(before, ones);
  for (const issue of issues) report({ at, ...issue });
  return { bars, rom: decodeRom(romBefore, romOnes) };
}

/**
 * Which windows a bridge has and how many address bits they decode. Widths come from the read-only type bits. A window
 * whose registers all read zero may not exist: one closed value (base above limit) is written to it, and stays.
 */
export function* probeWindows(
  at: Bdf,
  config: ConfigBytes,
  write: boolean,
): Steps<Pick<SeenBridge, 'io' | 'prefetchable'>> {
  const io = config.u16(type1.ioBase.offset);
  const prefetchable = config.u32(type1.prefetchableBase.offset);
  const uppers = [type1.prefetchableBaseUpper32, type1.prefetchableLimitUpper32, type1.ioBaseUpper16];
  const [baseUpper, limitUpper, ioUpper] = uppers.map((register) => config.u32(register.offset));
  const ops: ConfigOp[] = [];
  // 16 bits: what follows the I/O base and limit is a status register whose bits a 1 clears.
  if (write && io === 0 && ioUpper === 0) {
    ops.push(writeOp(at, type1.ioBase.offset, 2, encodeIoWindow(null).baseLimit), readOp(at, type1.ioBase.offset, 2));
  }
  const askIo = ops.length > 0;
  const askPrefetchable = write && prefetchable === 0 && baseUpper === 0 && limitUpper === 0;
  if (askPrefetchable) {
    const { offset } = type1.prefetchableBase;
    ops.push(writeOp(at, offset, 4, encodeMemoryWindow(null)), readOp(at, offset, 4));
  }
  const answers = ops.length > 0 ? yield ops : [];
  const ioNow = askIo ? (answers[1] ?? 0) : io;
  const prefetchableNow = askPrefetchable ? (answers[askIo ? 3 : 1] ?? 0) : prefetchable;
  return {
    io: ioNow === 0 ? 0 : ioWidth(ioNow),
    prefetchable: prefetchableNow === 0 ? 0 : prefetchableWidth(prefetchableNow),
  };
}

export interface SizedVfs {
  readonly bars: readonly SeenBar[];
  readonly firstVfOffset: number;
  readonly vfStride: number;
  readonly systemPageSize: number;
}

/**
 * VF BARs, and where the VFs come. Offset and stride may depend on the number of VFs, VF BAR sizes on the system page
 * size (PCI Express Base 6.0 §9.3.3.8 to 9.3.3.13): both are read with all VFs asked for and with `pageSize` (bytes) where
 * the function supports it. NumVFs gets its value back; the page size stays, as an operating system leaves it.
 */
export function* sizeVfBars(
  at: Bdf,
  capability: number,
  config: ConfigBytes,
  options: { readonly write: boolean; readonly pageSize: number },
  report: (finding: Finding) => void,
): Steps<SizedVfs> {
  const r = sriovRegisters;
  const value = (field: { offset: number; width: number }) =>
    config.field({ offset: capability + field.offset, width: field.width });
  const registers = Array.from({ length: VF_BARS }, (_, i) => capability + r.bar0.offset + 4 * i);
  const before = registers.map((register) => config.u32(register));
  const enabled = (value(r.control) & VF_ENABLE) !== 0;
  let systemPageSize = value(r.systemPageSize);
  const give = (ones: number[] | null, firstVfOffset: number, vfStride: number): SizedVfs => {
    const { bars, issues } = decodeBars(before, ones);
    for (const { code, ...rest } of issues) report({ at, ...rest, code: `vf-${code}` });
    return { bars, firstVfOffset, vfStride, systemPageSize };
  };
  // With VFs in use neither register may be touched.
  if (!options.write || enabled) return give(null, value(r.firstVfOffset), value(r.vfStride));

  const wanted = options.pageSize / 4096;
  const ops: ConfigOp[] = [];
  if (wanted !== systemPageSize && value(r.supportedPageSizes) & wanted) {
    ops.push(writeOp(at, capability + r.systemPageSize.offset, 4, wanted));
    systemPageSize = wanted;
  }
  ops.push(
    writeOp(at, capability + r.numVfs.offset, 2, value(r.totalVfs)),
    readOp(at, capability + r.firstVfOffset.offset, 4),
    writeOp(at, capability + r.numVfs.offset, 2, value(r.numVfs)),
  );
  const placement = ops.length - 2;
  const first = ops.length;
  ops.push(...registers.flatMap((register) => ask(at, register)));
  const answers = yield ops;
  const ones = registers.map((_, i) => answers[first + 2 * i + 1] ?? 0);
  const restore = registers.flatMap((register, i) =>
    ones[i] === before[i] ? [] : [writeOp(at, register, 4, before[i] ?? 0)],
  );
  if (restore.length > 0) yield restore;
  const offsetAndStride = answers[placement] ?? 0;
  return give(ones, offsetAndStride & 0xffff, offsetAndStride >>> 16);
}
