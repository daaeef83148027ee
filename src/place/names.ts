import { formatSize, hex } from '../address/format.js';
import type { BarType, HostWindow, MachineFunction } from '../machine/model.js';
import type { Claim, FunctionClaim, ReservedClaim } from './claims.js';
import type { Span, WindowKind } from './item.js';
import type { ConstraintSubject } from './plan.js';

/* What things are called in sentences. */

/** Of a bridge window. */
export const kindName = (kind: WindowKind): string => (kind === 'io' ? 'I/O' : kind);

export const article = (noun: string): string => `${/^[aeiou]/i.test(noun) ? 'an' : 'a'} ${noun}`;

/** `dev0 BAR 2`, `the ROM of dev0`, `the VF BAR 0 group of nic (8 x 16 MiB)`, `the memory window of rp1`. */
export function nameOf(fn: MachineFunction, subject: ConstraintSubject | undefined): string {
  if (subject === undefined) return `all of ${fn.id}`;
  if (typeof subject === 'number') return `${fn.id} BAR ${subject}`;
  switch (subject) {
    case 'rom':
      return `the ROM of ${fn.id}`;
    case 'io':
    case 'memory':
    case 'prefetchable':
      return `the ${kindName(subject)} window of ${fn.id}`;
    case 'secondary':
    case 'subordinate':
      return `the ${subject} bus number of ${fn.id}`;
    case 'reserve':
      return reserveName(fn);
    default: {
      const bar = fn.sriov?.bars.find(({ index }) => `vf${index}` === subject);
      const count = fn.sriov?.totalVfs ?? 0;
      return `the VF BAR ${subject.slice(2)} group of ${fn.id}${bar ? ` (${count} x ${formatSize(bar.size)})` : ''}`;
    }
  }
}

/** Hotplug room, of one kind where a bridge has several. */
export const reserveName = (fn: MachineFunction, kind?: WindowKind): string =>
  `the ${kind ? `${kindName(kind)} ` : ''}hotplug room of ${fn.id}`;

/** Names of several things, those of one function together: `dev0 BAR 2 and BAR 4`. */
export function namesOf(claims: readonly { readonly claim: FunctionClaim; readonly name: string }[]): string {
  const [first, ...rest] = claims;
  const bars = rest.flatMap(({ claim: { fn, subject } }) =>
    fn === first?.claim.fn && typeof subject === 'number' ? [`BAR ${subject}`] : [],
  );
  if (first && typeof first.claim.subject === 'number' && bars.length === rest.length)
    return listed([first.name, ...bars]);
  return listed(claims.map(({ name }) => name));
}

export const reservedName = ({ range, reason }: ReservedClaim): string =>
  reason === undefined ? `RAM at ${range.toString()}` : `the reserved range ${range.toString()} (${reason})`;

/** `0x10000000-0x3efeffff`, both ends included. */
export const spanOf = ({ base, limit }: Span): string => `${hex(base)}-${hex(limit)}`;

const windowKinds: Readonly<Record<BarType, string>> = {
  io: 'I/O window',
  mem32: '32-bit window',
  mem64: '64-bit window',
};
/** Of a host bridge. */
export const windowKind = (type: BarType): string => windowKinds[type];

/** `the 32-bit window 0x10000000-0x3efeffff`. */
export const windowName = ({ type, base, size }: HostWindow): string =>
  `the ${windowKind(type)} ${spanOf({ base, limit: base + size - 1n })}`;

/** `a`, `a and b`, `a, b and c`; after `most` of them the rest is counted. */
export function listed(parts: readonly string[], most = 8): string {
  const shown = parts.length > most ? [...parts.slice(0, most - 1), `${parts.length - most + 1} more`] : parts;
  const last = shown.at(-1) ?? '';
  return shown.length < 2 ? last : `${shown.slice(0, -1).join(', ')} and ${last}`;
}

/** Starts a sentence; ids stay as they are. */
export const capital = (text: string): string =>
  text.replace(/^(?:the|there|all|both) /, (word) => word.charAt(0).toUpperCase() + word.slice(1));

/** `512 GiB`, and `0x2eff0000 bytes` where no unit makes it short. */
export function amount(size: bigint): string {
  const text = formatSize(size);
  return /^\d{1,4} /.test(text) ? text : `${hex(size)} bytes`;
}

/** `1 bus number`, `2 bus numbers`. */
export const counted = (count: number | bigint, noun: string): string =>
  `${count} ${noun}${BigInt(count) === 1n ? '' : 's'}`;

export const isFunctionClaim = (claim: Claim): claim is FunctionClaim => claim.kind !== 'reserved';

/** A bridge window pinned as such. */
export const isWindow = ({ subject }: Pick<FunctionClaim, 'subject'>): boolean =>
  subject === 'io' || subject === 'memory' || subject === 'prefetchable';
