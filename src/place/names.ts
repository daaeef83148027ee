import { formatSize, hex } from '../address/format.js';
import type { Bar, HostWindow, MachineFunction } from '../machine/model.js';
import type { Claim, FunctionClaim } from './claims.js';
import type { ConstraintSubject } from './plan.js';

/** What a claim is about, as numbers: where they are asked for, how much, at multiples of what. */
export interface Facts {
  readonly size: bigint;
  readonly align: bigint;
  readonly pin: bigint | undefined;
  /** `mem64` may lie anywhere, `mem32` below 4 GiB. */
  readonly type: Bar['type'];
  readonly prefetchable: boolean;
}

export function factsOf({ fn, subject }: Pick<FunctionClaim, 'fn' | 'subject'>): Facts | undefined {
  if (typeof subject === 'number') {
    const bar = fn.bars.find(({ index }) => index === subject);
    return bar && { ...bar, align: bar.size, pin: bar.pin };
  }
  if (subject === 'rom') {
    return fn.rom && { size: fn.rom.size, align: fn.rom.size, pin: fn.rom.pin, type: 'mem32', prefetchable: false };
  }
  if (subject?.startsWith('vf')) {
    const bar = fn.sriov?.bars.find(({ index }) => `vf${index}` === subject);
    return bar && { ...bar, size: bar.size * BigInt(fn.sriov?.totalVfs ?? 0), align: bar.size, pin: bar.pin };
  }
  if (subject === 'io' || subject === 'memory' || subject === 'prefetchable') {
    const range = fn.bridge?.pin[subject];
    const align = subject === 'io' ? 0x1000n : 0x10_0000n;
    const type = subject === 'io' ? 'io' : subject === 'memory' || fn.bridge?.prefetchable === 32 ? 'mem32' : 'mem64';
    return range && { size: range.size, align, pin: range.base, type, prefetchable: subject === 'prefetchable' };
  }
  if (subject === 'reserve') return roomOf(fn);
  return undefined;
}

/** Hotplug room, where it is of one kind; it may start anywhere. */
function roomOf({ bridge }: MachineFunction): Facts | undefined {
  const types = { io: 'io', memory: 'mem32', prefetchable: bridge?.prefetchable === 32 ? 'mem32' : 'mem64' } as const;
  const kinds = (['io', 'memory', 'prefetchable'] as const).filter((kind) => (bridge?.reserve[kind] ?? 0n) > 0n);
  const [kind] = kinds;
  if (!bridge || !kind || kinds.length > 1) return undefined;
  return {
    size: bridge.reserve[kind],
    align: 1n,
    pin: undefined,
    type: types[kind],
    prefetchable: kind === 'prefetchable',
  };
}

/** `dev0 BAR 2`, `the ROM of dev0`, `the VF BAR 0 group of nic (8 x 16 MiB)`. */
export function nameOf(fn: MachineFunction, subject: ConstraintSubject | undefined): string {
  if (subject === undefined) return `everything behind ${fn.id}`;
  if (typeof subject === 'number') return `${fn.id} BAR ${subject}`;
  switch (subject) {
    case 'rom':
      return `the ROM of ${fn.id}`;
    case 'io':
      return `the I/O window of ${fn.id}`;
    case 'memory':
      return `the memory window of ${fn.id}`;
    case 'prefetchable':
      return `the prefetchable window of ${fn.id}`;
    case 'secondary':
      return `the secondary bus number of ${fn.id}`;
    case 'subordinate':
      return `the subordinate bus number of ${fn.id}`;
    case 'reserve':
      return `the hotplug room of ${fn.id}`;
    default: {
      const bar = fn.sriov?.bars.find(({ index }) => `vf${index}` === subject);
      const count = fn.sriov?.totalVfs ?? 0;
      return `the VF BAR ${subject.slice(2)} group of ${fn.id}${bar ? ` (${count} x ${formatSize(bar.size)})` : ''}`;
    }
  }
}

export const span = (base: bigint, size: bigint): string => `${hex(base)}-${hex(base + size - 1n)}`;

const windowNames = { io: 'I/O window', mem32: '32-bit window', mem64: '64-bit window' } as const;

/** `the 32-bit window 0x10000000-0x3efeffff`. */
export const windowName = (window: HostWindow): string =>
  `the ${windowNames[window.type]} ${span(window.base, window.size)}`;

/** `a`, `a and b`, `a, b and c`; after `most` of them the rest is counted. */
export function listed(parts: readonly string[], most = 8): string {
  const shown = parts.length > most ? [...parts.slice(0, most - 1), `${parts.length - most + 1} more`] : parts;
  const last = shown.at(-1) ?? '';
  return shown.length < 2 ? last : `${shown.slice(0, -1).join(', ')} and ${last}`;
}

/** Starts a sentence; ids stay as they are. */
export const capital = (text: string): string => (text.startsWith('the ') ? `The ${text.slice(4)}` : text);

/** `512 GiB`, and `0x2eff0000 bytes` where no unit makes it short. */
export function amount(size: bigint): string {
  const text = formatSize(size);
  return /^\d{1,4} /.test(text) ? text : `${hex(size)} bytes`;
}

export const isFunctionClaim = (claim: Claim): claim is FunctionClaim => claim.kind !== 'reserved';

/** A bridge window pinned as such. */
export const isWindow = ({ subject }: Pick<FunctionClaim, 'subject'>): boolean =>
  subject === 'io' || subject === 'memory' || subject === 'prefetchable';
