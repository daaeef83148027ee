import type { Placement, ResourceName, SeenResource, Source } from '../observation.js';

/** One line of a `resource` file: start, end (included) and flags. */
export const triple = /(0x[0-9a-f]{16}) (0x[0-9a-f]{16}) (0x[0-9a-f]{16})\s*$/;

/** include/linux/ioport.h */
const flag = {
  io: 0x100n,
  memory: 0x200n,
  prefetchable: 0x2000n,
  wide: 0x10_0000n,
  disabled: 0x1000_0000n,
  unset: 0x2000_0000n,
};
/**
 * The low bits of a BAR's flags are those of its register (drivers/pci/probe.c, decode_bar). They tell where the flags above
 * do not: old kernels had another bit for prefetchable (0x1000), and older ones none for 64 bits.
 */
const register = { wide: 0x4n, prefetchable: 0x8n };
/** IORESOURCE_ROM_SHADOW (include/linux/ioport.h): the kernel uses a copy, or the address where firmware left one. */
const ROM_SHADOW = 0x2n;

/** DEVICE_COUNT_RESOURCE (include/linux/pci.h) was never larger; more lines belong to more than one function. */
export const MOST_ROWS = 18;

export interface Row {
  readonly index: number;
  readonly base: bigint;
  readonly limit: bigint;
  readonly flags: bigint;
  readonly source: Source;
}

/** What the lines of one function's file say. `classCode`: 24 bits, where it is known. */
export function decodeRows(rows: readonly Row[], classCode: number | undefined) {
  const numbering = numberingOf(rows);
  const { windowsFrom } = numbering;
  const windows = windowsFrom !== undefined && rows.some((row) => row.index >= windowsFrom);
  const resources = rows.flatMap((row) => {
    const name = nameOf(row.index, numbering);
    return name === undefined ? [] : [resourceOf(row, name)];
  });
  const isBridge = windows || (classCode !== undefined && classCode >> 8 === 0x0604);
  return { resources, isBridge, unclear: numbering.unclear };
}

/** The resources of a whole sysfs `resource` file. */
export function resourcesOfFile(text: string, file: string): SeenResource[] {
  const rows: Row[] = [];
  for (const line of text.split('\n', MOST_ROWS + 1)) {
    const match = triple.exec(line);
    if (!match?.[1] || !match[2] || !match[3]) break;
    const [base, limit, flags] = [BigInt(match[1]), BigInt(match[2]), BigInt(match[3])];
    rows.push({ index: rows.length, base, limit, flags, source: { file, line: rows.length + 1 } });
  }
  return decodeRows(rows, undefined).resources;
}

interface Numbering {
  /** Index of the I/O window's line. */
  readonly windowsFrom?: number;
  readonly vfs: boolean;
  readonly unclear: boolean;
}

/**
 * What lines 7 and up are (include/linux/pci.h, enum pci_resource): with CONFIG_PCI_IOV six VF BARs, then a bridge's
 * windows; without it the windows at once. An endpoint shows no window lines, so the number of lines tells: 7 or 13 for
 * an endpoint, 11 or 12 for a bridge without and 17 or 18 with CONFIG_PCI_IOV.
 */
function numberingOf(rows: readonly Row[]): Numbering {
  const count = Math.max(rows.length, ...rows.map((row) => row.index + 1));
  if (count > MOST_ROWS) return { vfs: false, unclear: true };
  if (count <= 7) return { vfs: false, unclear: false };
  if (count > 13) return { windowsFrom: 13, vfs: true, unclear: false };
  if (count === 13) return { vfs: true, unclear: false };
  // VF BARs are never I/O (PCI Express Base 6.0 §9.3.3.14).
  const seventh = rows.find((row) => row.index === 7);
  if (count >= 11 || (seventh && (seventh.flags & flag.io) !== 0n))
    return { windowsFrom: 7, vfs: false, unclear: false };
  return { vfs: false, unclear: true };
}

const windowNames = ['io', 'memory', 'prefetchable'] as const;

function nameOf(index: number, numbering: Numbering): ResourceName | undefined {
  if (index < 6) return index;
  if (index === 6) return 'rom';
  if (numbering.windowsFrom !== undefined && index >= numbering.windowsFrom)
    return windowNames[index - numbering.windowsFrom];
  return numbering.vfs && index < 13 ? `vf${index - 7}` : undefined;
}

function resourceOf({ base, limit, flags, source }: Row, name: ResourceName): SeenResource {
  const isWindow = name === 'io' || name === 'memory' || name === 'prefetchable';
  const space = isWindow ? (name === 'io' ? 'io' : 'memory') : (flags & flag.io) !== 0n ? 'io' : 'memory';
  const common = { name, space, numbers: 'kernel', source } as const;
  if (flags === 0n && base === 0n && limit === 0n) {
    const placement: Placement = isWindow ? { state: 'closed' } : { state: 'unassigned', why: 'no-resource' };
    return { ...common, placement };
  }
  const kind =
    space === 'io' || isWindow
      ? {}
      : { wide: isSet('wide', flags, name), prefetchable: isSet('prefetchable', flags, name) };
  // A ROM that is a copy in memory, before anyone has looked at it, has flags and neither start nor end.
  if (limit < base || (base === 0n && limit === 0n))
    return {
      ...common,
      ...kind,
      placement: isWindow ? { state: 'closed' } : { state: 'unassigned', why: 'listed-so' },
    };
  const size = limit - base + 1n;
  if ((flags & (flag.unset | flag.disabled)) !== 0n)
    return { ...common, ...kind, size, placement: { state: 'unassigned', why: 'listed-so' } };
  const shadow = name === 'rom' && (flags & ROM_SHADOW) !== 0n;
  return { ...common, ...kind, size, placement: { state: shadow ? 'os-only' : 'assigned', address: base } };
}

/** A ROM's low bits say something else. */
const isSet = (what: 'wide' | 'prefetchable', flags: bigint, name: ResourceName): boolean =>
  (flags & (name === 'rom' ? flag[what] : flag[what] | register[what])) !== 0n;
