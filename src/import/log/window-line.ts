import { AddressRange } from '../../address/range.js';
import { fromHex } from '../lines.js';
import type { Space } from '../observation.js';
import type { LogLine } from './line.js';

/** A host bridge's window as a kernel line shows it. */
export interface WindowFact {
  readonly kind: 'root-window';
  /** `root`: the kernel uses it. `ranges`: the device tree or ACPI offers it. */
  readonly from: 'root' | 'ranges';
  /** Undefined where the line names a controller and no bus. */
  readonly segment?: number;
  readonly bus?: number;
  /** The device that the line names: `rockchip-dw-pcie a40000000.pcie`. */
  readonly controller?: string;
  readonly space: Space;
  /** CPU addresses. */
  readonly range: AddressRange;
  /** The bus address of its first byte. */
  readonly busBase: bigint;
  readonly wide: boolean;
  readonly prefetchable: boolean;
  readonly line: LogLine;
}

export interface RootBus {
  readonly kind: 'root-bus';
  readonly segment: number;
  readonly bus: number;
  readonly controller?: string;
  readonly line: LogLine;
}

export interface RootBuses {
  readonly kind: 'root-buses';
  readonly segment: number;
  readonly first: number;
  readonly last: number;
  readonly line: LogLine;
}

/** What a root bus has in the end, from the first of its windows: all below it is placed (pci_bus_dump_resources). */
export interface Settled {
  readonly kind: 'settled';
  readonly segment: number;
  readonly bus: number;
  readonly line: LogLine;
}

/** A part of a window, or a whole one, that the kernel does not use. */
export interface Withdrawn {
  readonly kind: 'withdrawn';
  /** `width`: the CPU has no such addresses. */
  readonly why: 'e820' | 'conflict' | 'ignored' | 'width';
  readonly range: AddressRange;
  /** What is left, where something is. */
  readonly left?: AddressRange;
  /** Who has it instead. */
  readonly holder?: { readonly name: string; readonly range?: AddressRange };
  readonly line: LogLine;
}

/** A range of the firmware's memory map. */
export interface FirmwareRange {
  readonly kind: 'firmware-range';
  readonly type: string;
  readonly range: AddressRange;
  readonly line: LogLine;
}

export type HostFact = WindowFact | RootBus | RootBuses | Settled | Withdrawn | FirmwareRange;

const root =
  /pci_bus ([0-9a-f]{4,8}):([0-9a-f]{2}): (?:root bus )?resource(?: \d{1,3})? \[(io|mem) +0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})([^\]]{0,40})\](?: \(bus address \[0x([0-9a-f]{1,16})-0x[0-9a-f]{1,16}\]\))?/;
const buses = /pci_bus ([0-9a-f]{4,8}):([0-9a-f]{2}): root bus resource \[bus ([0-9a-f]{2})(?:-([0-9a-f]{2}))?\]/;
/** Windows of bridges are resources 0 to 3 of their buses. */
const settled = /pci_bus ([0-9a-f]{4,8}):([0-9a-f]{2}): resource 4 \[/;
const rootBus = /(?:(\S+ \S+): )?PCI host bridge to bus ([0-9a-f]{4,8}):([0-9a-f]{2})/;
/** `MEM 0x10000000..0x3efeffff -> 0x10000000`, of drivers/pci/of.c and its ancestors; also with `No bus range`. */
const ranges =
  /(?:^|[\s\]])(?:(?:OF: )?PCI: +|(\S+ \S+): +)?(IO|MEM) +0x([0-9a-f]{1,16})\.\.0x([0-9a-f]{1,16}) -> 0x([0-9a-f]{1,16})/i;
/** `PCI host bridge to bus` of old powerpc kernels: ` MEM 0x00000c0000000000..0x… -> 0x… Prefetch`. */
const prefetch = /\bpref/i;
const ignoring =
  /ignoring host bridge window \[(io|mem) +0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})[^\]]*\] \(conflicts with ([^[]{1,60}?) *(?:\[(?:mem|io)? *0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})[^\]]*\])?\)/;
const ignored = /host bridge window \[(io|mem) +0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})[^\]]*\] \(ignored\)/;
/** drivers/acpi/pci_root.c, acpi_pci_root_validate_resources: the part that is left out stands in the parentheses. */
const unaddressable =
  /host bridge window \[mem +0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})[^\]]*\] \((?:\[0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})[^\]]*\] )?ignored, not CPU addressable\)/;
const clipped =
  /clipped \[mem +0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})[^\]]*\] to \[mem +(?:0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})|size 0x[0-9a-f]+)[^\]]*\] for e820 entry \[mem +0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})\]/;
const e820 = /(?:BIOS-e820|e820): \[mem +0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})\] ([a-zA-Z][\w ()-]{1,40})/;

const inclusive = (base: string | undefined, limit: string | undefined): AddressRange | undefined => {
  if (base === undefined || limit === undefined) return undefined;
  const [from, to] = [fromHex(base), fromHex(limit)];
  return to < from ? undefined : AddressRange.of(from, to);
};

/** Reads a line about a host bridge's windows, or about who else has the addresses. */
export function hostFact(line: LogLine): HostFact | undefined {
  const { text } = line;
  if (text.includes('pci_bus')) return busFact(line);
  if (text.includes('host bridge')) return bridgeFact(line);
  if (text.includes(' -> 0x')) {
    const match = ranges.exec(text);
    const range = inclusive(match?.[3], match?.[4]);
    if (!match?.[5] || !range) return undefined;
    return {
      kind: 'root-window',
      from: 'ranges',
      ...(match[1] === undefined ? {} : { controller: match[1] }),
      space: match[2]?.toUpperCase() === 'IO' ? 'io' : 'memory',
      range,
      busBase: fromHex(match[5]),
      wide: false,
      prefetchable: prefetch.test(text.slice(match.index + match[0].length)),
      line,
    };
  }
  if (text.includes('clipped [')) {
    const match = clipped.exec(text);
    const range = inclusive(match?.[1], match?.[2]);
    const holder = inclusive(match?.[5], match?.[6]);
    const left = inclusive(match?.[3], match?.[4]);
    if (!range || !holder) return undefined;
    const by = { name: 'e820 entry', range: holder };
    return { kind: 'withdrawn', why: 'e820', range, holder: by, ...(left ? { left } : {}), line };
  }
  if (text.includes('e820: [')) {
    const match = e820.exec(text);
    const range = inclusive(match?.[1], match?.[2]);
    return range && match?.[3] ? { kind: 'firmware-range', type: match[3].trim(), range, line } : undefined;
  }
  return undefined;
}

function busFact(line: LogLine): HostFact | undefined {
  const window = root.exec(line.text);
  const range = inclusive(window?.[4], window?.[5]);
  if (window?.[1] && window[2] && range) {
    // `resource 4 [mem …]` is how the kernel lists a bus' windows; those of other buses belong to bridges.
    const flags = window[6] ?? '';
    if (!line.text.includes('root bus resource')) {
      const end = settled.exec(line.text);
      return end?.[1] && end[2]
        ? { kind: 'settled', segment: parseInt(end[1], 16), bus: parseInt(end[2], 16), line }
        : undefined;
    }
    return {
      kind: 'root-window',
      from: 'root',
      segment: parseInt(window[1], 16),
      bus: parseInt(window[2], 16),
      space: window[3] === 'io' ? 'io' : 'memory',
      range,
      busBase: window[7] === undefined ? range.base : fromHex(window[7]),
      wide: flags.includes('64bit'),
      prefetchable: flags.includes('pref'),
      line,
    };
  }
  const numbers = buses.exec(line.text);
  if (!numbers?.[1] || !numbers[3]) return undefined;
  const first = parseInt(numbers[3], 16);
  const last = parseInt(numbers[4] ?? numbers[3], 16);
  return { kind: 'root-buses', segment: parseInt(numbers[1], 16), first, last, line };
}

function bridgeFact(line: LogLine): HostFact | undefined {
  const { text } = line;
  const bus = rootBus.exec(text);
  if (bus?.[2] && bus[3]) {
    const controller = bus[1];
    return {
      kind: 'root-bus',
      segment: parseInt(bus[2], 16),
      bus: parseInt(bus[3], 16),
      ...(controller === undefined ? {} : { controller }),
      line,
    };
  }
  const conflict = ignoring.exec(text);
  const lost = inclusive(conflict?.[2], conflict?.[3]);
  if (conflict?.[4] && lost) {
    const range = inclusive(conflict[5], conflict[6]);
    const holder = range ? { name: conflict[4], range } : { name: conflict[4] };
    return { kind: 'withdrawn', why: 'conflict', range: lost, holder, line };
  }
  const beyond = unaddressable.exec(text);
  const missed = beyond && inclusive(beyond[3] ?? beyond[1], beyond[4] ?? beyond[2]);
  if (missed) return { kind: 'withdrawn', why: 'width', range: missed, line };
  const unused = ignored.exec(text);
  const range = inclusive(unused?.[2], unused?.[3]);
  return range ? { kind: 'withdrawn', why: 'ignored', range, line } : undefined;
}
