import { fromHex } from '../lines.js';
import type { Placement, ResourceName, SeenResource, Source } from '../observation.js';

/*
 * Lines about address ranges. Text forms: pciutils lspci.c (show_bases, show_rom, show_range) and ls-ecaps.c (cap_sriov).
 * BARs and the ROM are what the kernel says (sysfs `resource`); bridge windows are that or, in older versions, the
 * registers; VF BARs are the registers.
 */

// Addresses have at least eight digits and port numbers four (lib/types.h, PCIADDR_T_FMT), and a kind follows a memory
// address: so a line that was cut inside an address is none.
const region =
  /^\s*(?:Region ([0-5]): )?(\[virtual\] )?(?:(Memory) at ([0-9a-f]{8,16}|<[a-z0-9-]{1,30}>)(?= \()|I\/O ports at ([0-9a-f]{4,16}|<[a-z]{1,30}>)(?=\s|$))(.*)$/;
const rom = /^\s*(\[(?:virtual|enhanced)\] )?Expansion ROM at ([0-9a-f]{8,16}|<[a-z]{1,30}>)(?=\s|$)(.*)$/;
const behind = /^\s*(I\/O|Memory|Prefetchable memory) behind bridge:(?: ([0-9a-f]{4,16})-([0-9a-f]{4,16}))?(.*)$/;
const sizeSuffix = /\[size=(\d{1,10})([KMGT]?)\]/;
const shifts: Readonly<Record<string, bigint>> = { '': 0n, K: 10n, M: 20n, G: 30n, T: 40n };

function sizeIn(rest: string): { size?: bigint } {
  const match = sizeSuffix.exec(rest);
  return match?.[1] ? { size: BigInt(match[1]) << (shifts[match[2] ?? ''] ?? 0n) } : {};
}

function placementOf(value: string, virtual: boolean, off: boolean): Placement {
  if (value.startsWith('<')) return { state: 'unassigned', why: value === '<ignored>' ? 'ignored' : 'listed-so' };
  const address = fromHex(value);
  return { state: virtual ? 'os-only' : off ? 'decode-off' : 'assigned', address };
}

const memoryKind = (rest: string) => ({
  wide: rest.includes('(64-bit'),
  prefetchable: rest.includes(', prefetchable)'),
});

/** A BAR; its number is null with `-v`. */
export function regionOf(line: string, source: Source): SeenResource | undefined {
  const match = region.exec(line);
  const value = match?.[4] ?? match?.[5];
  if (!match || value === undefined) return undefined;
  const rest = match[6] ?? '';
  const virtual = match[2] !== undefined || rest.includes('[virtual]');
  const isMemory = match[3] !== undefined;
  return {
    name: match[1] === undefined ? null : Number(match[1]),
    space: isMemory ? 'memory' : 'io',
    ...(isMemory ? memoryKind(rest) : {}),
    ...sizeIn(rest),
    placement: placementOf(value, virtual, rest.includes('[disabled]')),
    numbers: 'kernel',
    source,
  };
}

/** A VF BAR in the SR-IOV capability. An address of 0 is what a register without one holds. */
export function vfRegion(line: string, source: Source): SeenResource | undefined {
  const seen = regionOf(line, source);
  if (typeof seen?.name !== 'number') return undefined;
  const name: ResourceName = `vf${seen.name}`;
  return { ...seen, name, numbers: 'bus' };
}

/** The expansion ROM. */
export function romOf(line: string, source: Source): SeenResource | undefined {
  const match = rom.exec(line);
  if (!match?.[2]) return undefined;
  const rest = match[3] ?? '';
  const virtual = match[1] === '[virtual] ' || rest.includes('[virtual]');
  return {
    name: 'rom',
    space: 'memory',
    ...sizeIn(rest),
    placement: placementOf(match[2], virtual, rest.includes('[disabled')),
    numbers: 'kernel',
    source,
  };
}

const windowNames = { 'I/O': 'io', Memory: 'memory', 'Prefetchable memory': 'prefetchable' } as const;

/** A bridge's window. */
export function windowOf(line: string, source: Source): SeenResource | undefined {
  const match = behind.exec(line);
  const name = windowNames[match?.[1] as keyof typeof windowNames] as ResourceName | undefined;
  if (!match || name === undefined) return undefined;
  const common = { name, space: name === 'io' ? 'io' : 'memory', numbers: 'either', source } as const;
  const closed = { ...common, placement: { state: 'closed' } } as const;
  if (match[2] === undefined || match[3] === undefined) {
    return /^ ?(?:None|\[disabled\])/.test(match[4] ?? '') ? closed : undefined;
  }
  // Both have the same least number of digits: a shorter limit was cut.
  if (match[3].length < match[2].length) return undefined;
  const [base, limit] = [fromHex(match[2]), fromHex(match[3])];
  if (limit < base || match[4]?.includes('[disabled]')) return closed;
  return { ...common, size: limit - base + 1n, placement: { state: 'assigned', address: base } };
}
