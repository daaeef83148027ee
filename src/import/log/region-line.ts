import type { Bdf } from '../../pci/bdf.js';
import { fromHex } from '../lines.js';
import type { LogLine } from './line.js';

/** A BAR or ROM in a listing of lspci, also in a piece of one that does not say whose it is. */
export interface RegionLine {
  /** Undefined where the piece has no line with an address. */
  readonly owner: Bdf | undefined;
  /** BAR number or ROM; null in `lspci -v`, which does not number them. */
  readonly name: number | 'rom' | null;
  readonly space: 'io' | 'memory';
  readonly wide: boolean;
  readonly prefetchable: boolean;
  /** `unassigned`: register and kernel have none. `ignored`: the register has one that the kernel does not use. */
  readonly state: 'assigned' | 'unassigned' | 'ignored';
  readonly address?: bigint;
  /** Bytes. */
  readonly size?: bigint;
  readonly virtual: boolean;
  readonly disabled: boolean;
  readonly line: LogLine;
}

const region =
  /^\s*(?:Region ([0-5]): ?)?(\[virtual\] )?(Memory|I\/O ports|Expansion ROM|\[virtual\] Expansion ROM) at ([0-9a-f]{4,16}|<[a-z0-9-]{1,30}>)(?=[\s(]|$)(.*)$/;
const sizeSuffix = /\[size=(\d{1,10})([KMGT]?)\]/;
const shifts: Readonly<Record<string, bigint>> = { '': 0n, K: 10n, M: 20n, G: 30n, T: 40n };

/** Text forms: pciutils lspci.c, show_bases and show_rom. */
export function regionLine(line: LogLine, owner: Bdf | undefined): RegionLine | undefined {
  const match = region.exec(line.text);
  const [, bar, virtual, kind, value, rest = ''] = match ?? [];
  if (kind === undefined || value === undefined) return undefined;
  const isRom = kind.endsWith('ROM');
  const size = sizeSuffix.exec(rest);
  return {
    owner,
    name: isRom ? 'rom' : bar === undefined ? null : Number(bar),
    space: kind === 'I/O ports' ? 'io' : 'memory',
    wide: rest.includes('(64-bit'),
    prefetchable: rest.includes(', prefetchable)'),
    state: value === '<ignored>' ? 'ignored' : value.startsWith('<') ? 'unassigned' : 'assigned',
    ...(value.startsWith('<') ? {} : { address: fromHex(value) }),
    ...(size?.[1] ? { size: BigInt(size[1]) << (shifts[size[2] ?? ''] ?? 0n) } : {}),
    virtual: virtual !== undefined || rest.includes('[virtual]') || kind.startsWith('[virtual]'),
    disabled: rest.includes('[disabled]'),
    line,
  };
}
