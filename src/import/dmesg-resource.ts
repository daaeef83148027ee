import { fromHex } from './lines.js';
import type { Draft, Placement, ResourceName, Space, UnassignedReason } from './observation.js';

/** What one kernel line says of one resource. */
export interface PlacementEvent {
  /** Undefined where only the kernel's index is known. */
  readonly name?: ResourceName;
  /** The kernel's own resource number, as lines before Linux 6.6 have it. */
  readonly index?: number;
  readonly space: Space;
  readonly wide: boolean;
  readonly prefetchable: boolean;
  readonly size?: bigint;
  readonly placement: Placement;
}

const subject =
  /^(?:(can't claim|disabling) )?(?:(VF )?BAR (\d{1,2})|(ROM)|(bridge window)|reg (?:0x)?([0-9a-f]{2,3})|VF\(n\) BAR(\d) space)(?=[: ])/;
const resource =
  /\[(mem|io) +(?:0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})|size 0x([0-9a-f]{1,16})|(?=[^\]]))([^\]]{0,80})\]/;
const shadowedRom = /^Video device with shadowed ROM at \[mem 0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})/;

/** Verbs around the range: `BAR 0: assigned [mem …]` before Linux 6.6, `BAR 0 [mem …]: assigned` since. */
const failures: readonly (readonly [RegExp, UnassignedReason])[] = [
  [/^(?:no space for|failed to assign|can't assign)/, 'no-space'],
  [/^releasing/, 'released'],
  [/^(?:can't claim|address conflict|no compatible bridge window)/, 'not-claimed'],
];
const standing =
  /^(?:assigned|reassigned|contains BAR|\(contains BAR|\(?from Enhanced Allocation|legacy IDE quirk|failed to expand|failed to add)/;

/** Reads a line about one resource of a function; undefined where it says nothing of where the resource lies. */
export function placementEvent(message: string): PlacementEvent | undefined {
  const shadow = message.startsWith('Video ') ? shadowedRom.exec(message) : null;
  if (shadow?.[1]) {
    return {
      name: 'rom',
      space: 'memory',
      wide: false,
      prefetchable: false,
      placement: { state: 'os-only', address: fromHex(shadow[1]) },
    };
  }
  const head = subject.exec(message);
  const range = head ? resource.exec(message) : null;
  if (!head || !range) return undefined;
  const before = afterColons(message, head[0].length, range.index).trimEnd();
  const after = afterColons(message, range.index + range[0].length, message.length);
  const flags = range[5] ?? '';
  const named = nameOf(head, range[1] === 'io' ? 'io' : 'memory', flags);
  if (!named) return undefined;
  const base = range[2] === undefined ? undefined : fromHex(range[2]);
  const limit = range[3] === undefined ? undefined : fromHex(range[3]);
  // `disabling bridge window [mem 0x0-0xffffffffffffffff disabled]`: that range is none.
  const disabling = head[1] === 'disabling';
  const closed = disabling || (base !== undefined && limit !== undefined && limit < base);
  const asked = range[4] === undefined ? undefined : fromHex(range[4]);
  const size = base !== undefined && limit !== undefined && !closed ? limit - base + 1n : asked;
  const verb = head[1] ?? (before === '' ? after : before);
  const placement = placementOf(verb, disabling, closed, base);
  if (!placement) return undefined;
  const event: Draft<PlacementEvent> = {
    space: range[1] === 'io' ? 'io' : 'memory',
    wide: flags.includes('64bit'),
    prefetchable: flags.includes(' pref'),
    placement,
  };
  if (named.name !== undefined) event.name = named.name;
  if (named.index !== undefined) event.index = named.index;
  if (size !== undefined) event.size = size;
  return event;
}

function placementOf(
  verb: string,
  disabling: boolean,
  closed: boolean,
  base: bigint | undefined,
): Placement | undefined {
  if (disabling) return { state: 'closed' };
  if (verb !== '') {
    const failure = failures.find(([pattern]) => pattern.test(verb));
    if (failure) return { state: 'unassigned', why: failure[1] };
    // `bridge window [mem …] to [bus 01] add_size 1000` is what sizing asks for, not where the window is.
    if (!standing.test(verb)) return undefined;
  }
  // Kernels do not print windows that they find closed: this is a sizing line, cut.
  if (base === undefined || (closed && verb === '')) return undefined;
  return closed ? { state: 'closed' } : { state: 'assigned', address: base };
}

/** A part of a text without the colons and spaces that it begins with. */
function afterColons(text: string, from: number, to: number): string {
  let at = from;
  while (at < to && (text.charCodeAt(at) === 58 || text.charCodeAt(at) === 32)) at++;
  return text.slice(at, to);
}

function nameOf(
  head: RegExpExecArray,
  space: Space,
  flags: string,
): Pick<PlacementEvent, 'name' | 'index'> | undefined {
  const [, , vf, bar, rom, window, register, vfSpace] = head;
  if (rom) return { name: 'rom' };
  if (window) return { name: space === 'io' ? 'io' : flags.includes(' pref') ? 'prefetchable' : 'memory' };
  if (vfSpace !== undefined) return Number(vfSpace) < 6 ? { name: `vf${Number(vfSpace)}` } : undefined;
  if (register !== undefined) return registerName(parseInt(register, 16));
  const index = Number(bar);
  if (vf) return index < 6 ? { name: `vf${index}` } : undefined;
  return index < 6 ? { name: index } : index === 6 ? { name: 'rom' } : { index };
}

/** BARs are at 0x10 to 0x24, the ROM at 0x30, or 0x38 in a bridge (PCI Local Bus 3.0 §6.1, PCI-to-PCI Bridge 1.2 §3.2). */
function registerName(register: number): Pick<PlacementEvent, 'name'> | undefined {
  if (register === 0x30 || register === 0x38) return { name: 'rom' };
  return register >= 0x10 && register <= 0x24 && register % 4 === 0 ? { name: (register - 0x10) / 4 } : undefined;
}

const windowNames = ['io', 'memory', 'prefetchable'] as const;

/**
 * The kernel's resource numbers above 6 (include/linux/pci.h, enum pci_resource): 13 to 15 are a bridge's windows and 7
 * to 12 VF BARs with CONFIG_PCI_IOV, 7 to 9 the windows without. Undefined where that cannot be told.
 */
export function kernelIndexName(index: number, isBridge: boolean | undefined, space: Space): ResourceName | undefined {
  if (index >= 13 && index <= 15) return windowNames[index - 13];
  if (index < 7 || index > 12) return undefined;
  // VF BARs are never I/O (PCI Express Base 6.0 §9.3.3.14).
  if (isBridge === true || (space === 'io' && index === 7)) return windowNames[index - 7];
  return isBridge === false || index > 9 ? `vf${index - 7}` : undefined;
}
