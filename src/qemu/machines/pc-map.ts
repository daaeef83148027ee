import { maxOf } from '../../address/align.js';
import { hex } from '../../address/format.js';
import { FOUR_GIB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import { RangeSet } from '../../address/range-set.js';
import type { MachineBase } from '../../enumerate/to-machine.js';
import type { HostWindow, Reserved } from '../../machine/model.js';
import type { Plan } from '../../place/plan.js';
import { Exit, Problem } from '../../problem/problem.js';
import type { FlatRange } from './flat-view.js';

/** What QEMU itself says of a PC before anything is programmed. */
export interface PcFacts {
  /** What the CPU sees, memory and ports, by `info mtree -f`. */
  readonly memory: readonly FlatRange[];
  readonly ports: readonly FlatRange[];
  /** `etc/e820`: RAM, and what a guest may not use. */
  readonly e820: readonly E820Entry[];
  /** Properties of the host bridge: the 32-bit hole, its end not included, and where the 64-bit one may begin. */
  readonly hole: { readonly base: bigint; readonly end: bigint };
  readonly hole64Base: bigint;
  /** Null where there is none, as on the i440fx. */
  readonly ecam: AddressRange | null;
  /** Of the CPU, `phys-bits`. */
  readonly addressBits: number;
}

export interface E820Entry {
  readonly range: AddressRange;
  /** ACPI 6.5 §15: 1 is RAM. */
  readonly type: number;
}

export interface PcRequest {
  readonly mmioWindow?: { readonly base: bigint; readonly size: bigint } | undefined;
  /** Addresses that are pinned, ports and memory alike. */
  readonly pinned: readonly bigint[];
}

/** Reads `etc/e820`: base and size, 8 bytes each, and a type of 4, little-endian (hw/i386/e820_memory_layout.h). */
export function parseE820(bytes: Uint8Array): E820Entry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: E820Entry[] = [];
  for (let at = 0; at + 20 <= bytes.length; at += 20) {
    const size = view.getBigUint64(at + 8, true);
    if (size === 0n) continue;
    entries.push({ range: AddressRange.sized(view.getBigUint64(at, true), size), type: view.getUint32(at + 16, true) });
  }
  return entries;
}

/** Linux hands out ports from here on (arch/x86/include/asm/pci.h, PCIBIOS_MIN_IO): below lies what ISA has had since 1981. */
const FIRST_PORT = 0x1000n;
const PORTS = AddressRange.sized(0n, 0x1_0000n);
/**
 * Ports that are in use once the guest runs, and not before: power management (ICH9 and PIIX4) and SMBus (PIIX4), where qboot
 * and SeaBIOS put them and QEMU's ACPI tables have them.
 */
const LATE_PORTS = [AddressRange.sized(0x600n, 0x80n), AddressRange.sized(0x700n, 0x40n)];

/**
 * RAM and windows of a PC. What QEMU decodes already, and what its e820 keeps from the guest, is in no window.
 * @throws Problem `window-not-there`, exit 3
 */
export function pcMap(
  facts: PcFacts,
  { mmioWindow, pinned }: PcRequest,
): Pick<MachineBase, 'ram' | 'physicalAddressBits' | 'reserved'> & { readonly windows: readonly HostWindow[] } {
  const ram = facts.e820.filter(({ type }) => type === 1).map(({ range }) => range);
  const kept = facts.e820.filter(({ type }) => type !== 1).map(({ range }) => range);
  const taken = [...facts.memory.map(({ range }) => range), ...ram, ...kept, ...(facts.ecam ? [facts.ecam] : [])];
  const low = pieces(AddressRange.of(facts.hole.base, facts.hole.end - 1n), taken);
  const top = (1n << BigInt(facts.addressBits)) - 1n;
  const highBase = maxOf(facts.hole64Base, FOUR_GIB);
  const room = highBase > top ? [] : pieces(AddressRange.of(highBase, top), taken);
  const high = mmioWindow ? [within(room, AddressRange.sized(mmioWindow.base, mmioWindow.size))] : room;
  const lowest = pinned.some((address) => address < FIRST_PORT) ? 0n : FIRST_PORT;
  const used = facts.ports.filter(({ name }) => name !== 'io').map(({ range }) => range);
  const ports = pieces(AddressRange.of(lowest, PORTS.limit), [...used, ...LATE_PORTS]);
  const windows = (type: HostWindow['type'], ranges: readonly AddressRange[]) =>
    ranges.map(({ base, size }): HostWindow => ({ type, base, size, cpuBase: base }));
  return {
    ram: RangeSet.of(ram).ranges,
    physicalAddressBits: facts.addressBits,
    reserved: kept.map((range): Reserved => ({ range, reason: 'QEMU’s e820 map keeps it from the guest' })),
    windows: [...windows('io', ports), ...windows('mem32', low), ...windows('mem64', high)],
  };
}

const pieces = (range: AddressRange, taken: readonly AddressRange[]): readonly AddressRange[] =>
  RangeSet.of([range]).subtract(taken).ranges;

function within(ranges: readonly AddressRange[], asked: AddressRange): AddressRange {
  if (ranges.some((range) => range.covers(asked))) return asked;
  throw new Problem(
    'window-not-there',
    `pcie-mmio-window=${hex(asked.base)}:${hex(asked.size)} asks for ${asked.toString()}, and this machine has room above 4 GiB at ${ranges.map(String).join(', ') || 'no address'}`,
    {
      exit: Exit.outside,
      hint: 'it begins above RAM and the room for memory hotplug, and ends with the CPU’s physical addresses (-cpu …,phys-bits=N)',
      facts: { asked: asked.toString(), has: ranges.map(String) },
    },
  );
}

/**
 * What of a plan lies outside the host bridge windows that QEMU's ACPI tables will give to the guest. The 64-bit one
 * follows what is programmed, so this is asked afterwards.
 * @param hole64 as QEMU has it now, its end not included
 * @returns every difference in words
 */
export function outsideAcpiWindows(
  plan: Plan,
  facts: PcFacts,
  hole64: { readonly base: bigint; readonly end: bigint },
): string[] {
  const high = hole64.end > hole64.base ? AddressRange.of(hole64.base, hole64.end - 1n) : null;
  const low = AddressRange.of(facts.hole.base, facts.hole.end - 1n);
  const bars = plan.functions.flatMap(({ id, bars, sriov }) => [
    ...bars.map((bar) => ({ what: `${id} BAR ${bar.index}`, type: bar.type, base: bar.address, size: bar.size })),
    ...(sriov?.bars ?? []).map((bar) => ({
      what: `${id} VF BAR ${bar.index}`,
      type: bar.type,
      base: bar.address,
      size: bar.size * BigInt(bar.count),
    })),
  ]);
  return bars.flatMap(({ what, type, base, size }) => {
    const range = AddressRange.sized(base, size);
    if (type === 'io' || low.covers(range) || high?.covers(range)) return [];
    return [
      `${what} is at ${range.toString()}, and the host bridge windows in QEMU's ACPI tables are ${low.toString()} and ${high?.toString() ?? 'none above 4 GiB'}`,
    ];
  });
}
