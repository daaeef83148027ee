import { AddressRange } from '../../address/range.js';
import type { Bdf } from '../../pci/bdf.js';
import { fromHex } from '../lines.js';
import type { Draft, ResourceName, Space } from '../observation.js';
import { bdfOf } from '../reader.js';
import type { LogLine } from './line.js';

/**
 * What a kernel line says happened to one resource of one function (drivers/pci/probe.c, setup-res.c, setup-bus.c, iov.c,
 * pci.c, rebar.c; Linux 2.6.30 to 7.x). `dmesg.ts` keeps where resources end up; here every step counts.
 */
export type ResourceVerb =
  /** What the register held or a window that stands. */
  | 'found'
  | 'assigned'
  /** No space, or given up. */
  | 'no-space'
  /** It overlaps something else: `other`. */
  | 'conflict'
  /** No window above it covers it. */
  | 'not-covered'
  /** A driver or the kernel wants to use it and it has no address. */
  | 'no-address'
  | 'not-claimed'
  | 'released'
  /** It had to be released and was not. */
  | 'not-released'
  /** A window that is shut because nothing needs it. */
  | 'closed'
  /** What the kernel asks for while it sizes windows. */
  | 'asked'
  /** Somebody else holds it. */
  | 'held'
  /** A bridge's window that cannot hold `need` bytes. */
  | 'cannot-fit'
  /** The register does not behave like a BAR. */
  | 'unsizable';

export interface ResourceEvent {
  readonly address: Bdf;
  /** What stands before the address: `pci`, or a driver's name. */
  readonly driver?: string;
  readonly verb: ResourceVerb;
  readonly name?: ResourceName;
  /** The kernel's own number above 6: whether it is a VF BAR or a window depends on the function. */
  readonly index?: number;
  readonly space: Space;
  readonly wide: boolean;
  readonly prefetchable: boolean;
  /** Bytes. */
  readonly size?: bigint;
  /** Kernel resource numbers: CPU addresses for memory. */
  readonly range?: AddressRange;
  readonly other?: { readonly name: string; readonly range?: AddressRange };
  /** With `cannot-fit`: the bytes that are needed. */
  readonly need?: bigint;
  readonly line: LogLine;
}

/** `pci 0000:00:01.0: …`, with a driver's name in front; the domain may have more than four digits. */
const functionLine =
  /(?:^|[\s\]>"'`|:=])(?:([a-z][\w.-]{0,40}) )?(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([01][0-9a-f])\.([0-7])(?::| -)? +(.*)$/i;

const subject =
  /(VF )?BAR ?(\d{1,2})\b|\b(ROM)(?= \[)|\b(bridge window)\b|\breg (?:0x)?([0-9a-f]{2,3}):|VF\(n\) BAR(\d) space|\bresource (\d{1,2}) \[|(no compatible bridge window for)/;
const span =
  /\[(?:(mem|io) +)?(?:size 0x([0-9a-f]{1,16})|0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16}))([^\]\d][^\]]{0,40})?\]/g;

const verbs: readonly (readonly [RegExp, ResourceVerb])[] = [
  [/add_size|relaxed alignment|shrunken|extended|failed to (?:expand|add)\b/, 'asked'],
  [/no space|failed to assign|can't (?:re)?assign|can't allocate/, 'no-space'],
  [/conflicts? with|collision/, 'conflict'],
  [/no compatible bridge window|no parent found/, 'not-covered'],
  [/can't reserve/, 'held'],
  [/not assigned|no address assigned/, 'no-address'],
  [/not claimed/, 'not-claimed'],
  [/was not released/, 'not-released'],
  [/releas(?:ing|ed)/, 'released'],
  [/cannot fit/, 'cannot-fit'],
  [/disabling/, 'closed'],
  [/assigned|set to\b/, 'assigned'],
  [/can't size|invalid BAR|\binvalid\b/, 'unsizable'],
];

/** The function that a kernel, driver or VMM line speaks of, and what it says. */
export function functionMessage(
  text: string,
): { readonly address: Bdf; readonly driver?: string; readonly message: string } | undefined {
  const match = functionLine.exec(text);
  if (!match?.[3] || !match[4] || !match[5]) return undefined;
  const address = bdfOf(match[2], match[3], match[4], match[5]);
  if (!address) return undefined;
  return { address, ...(match[1] === undefined ? {} : { driver: match[1] }), message: match[6] ?? '' };
}

/** Undefined where the line is about no resource. */
export function resourceEvent(line: LogLine): ResourceEvent | undefined {
  const said = functionMessage(line.text);
  if (!said) return undefined;
  const { message, address, driver } = said;
  const head = subject.exec(message);
  if (!head) return undefined;
  const [first, second] = [...message.matchAll(span)];
  if (!first) return undefined;
  const rest = message.replace(span, ' ');
  const verb = verbs.find(([pattern]) => pattern.test(rest))?.[1] ?? 'found';
  const flags = first[5] ?? '';
  const space: Space = first[1] === 'io' ? 'io' : 'memory';
  const named = nameOf(head, space, flags);
  if (!named) return undefined;
  const range = rangeOf(first);
  const asked = first[2] === undefined ? range?.size : fromHex(first[2]);
  const size = asked === 0n ? undefined : asked;
  const need = /cannot fit 0x([0-9a-f]{1,16})/.exec(message)?.[1];
  const event: Draft<ResourceEvent> = {
    address,
    verb,
    space,
    wide: flags.includes('64bit'),
    prefetchable: flags.includes('pref'),
    line,
  };
  if (driver !== undefined) event.driver = driver;
  if (named.name !== undefined) event.name = named.name;
  if (named.index !== undefined) event.index = named.index;
  if (size !== undefined) event.size = size;
  if (range !== undefined) event.range = range;
  if (verb === 'conflict') event.other = otherOf(message, second);
  if (need !== undefined) event.need = fromHex(need);
  return event;
}

function rangeOf(match: RegExpExecArray | undefined): AddressRange | undefined {
  if (!match?.[3] || !match[4]) return undefined;
  const [base, limit] = [fromHex(match[3]), fromHex(match[4])];
  // `[mem 0x00000000-0xffffffffffffffff disabled]` is no range, and a limit below the base is a closed window.
  return limit < base || limit - base >= 1n << 60n ? undefined : AddressRange.of(base, limit);
}

function otherOf(message: string, range: RegExpExecArray | undefined) {
  const name = /(?:conflicts? with|collision on|with) ([^[]{1,60}?) *(?:\[|$)/.exec(message)?.[1] ?? '';
  const there = rangeOf(range);
  return there ? { name, range: there } : { name };
}

type Named = Pick<ResourceEvent, 'name' | 'index'>;

function nameOf(head: RegExpExecArray, space: Space, flags: string): Named | undefined {
  const [, vf, bar, rom, window, register, vfSpace, resource, uncovered] = head;
  if (uncovered) return {};
  if (rom) return { name: 'rom' };
  if (window) return { name: space === 'io' ? 'io' : flags.includes('pref') ? 'prefetchable' : 'memory' };
  if (vfSpace !== undefined) return Number(vfSpace) < 6 ? { name: `vf${Number(vfSpace)}` } : undefined;
  if (register !== undefined) return registerName(parseInt(register, 16));
  const index = Number(bar ?? resource);
  if (vf) return index < 6 ? { name: `vf${index}` } : undefined;
  return index < 6 ? { name: index } : index === 6 ? { name: 'rom' } : index < 17 ? { index } : undefined;
}

/** BARs are at 0x10 to 0x24, the ROM at 0x30, or 0x38 in a bridge (PCI Local Bus 3.0 §6.1, PCI-to-PCI Bridge 1.2 §3.2). */
function registerName(register: number): Named | undefined {
  if (register === 0x30 || register === 0x38) return { name: 'rom' };
  if (register >= 0x10 && register <= 0x24 && register % 4 === 0) return { name: (register - 0x10) / 4 };
  // VF BARs: an extended capability's offset, which no message explains; the range says more than the number.
  return undefined;
}
