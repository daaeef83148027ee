import { AddressRange } from '../../src/address/range.js';

/** A piece of what the CPU sees, as `info mtree -f` prints it. */
export interface FlatPiece {
  readonly range: AddressRange;
  /** `ram`, `rom`, `romd`, `i/o`, `ramd`, … */
  readonly kind: string;
  /** The memory region's name. */
  readonly name: string;
}

/**
 * The pieces of the address space `memory`, in ascending order, from the text of QEMU's monitor command `info mtree -f`.
 * Throws Error where it has no such address space.
 */
export function readFlatView(text: string): FlatPiece[] {
  const view = text.split(/^FlatView #\d+$/m).find((one) => /^\s*AS "memory",/m.test(one));
  if (view === undefined) throw new Error(`no address space "memory" in:\n${text.slice(0, 2000)}`);
  const line = /^ +([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, ([^)]+)\): (.*)$/gm;
  return [...view.matchAll(line)].map(([, base, limit, kind, rest]) => ({
    range: AddressRange.of(BigInt(`0x${base}`), BigInt(`0x${limit}`)),
    kind: (kind ?? '').replace(/^.*, /, ''),
    name: (rest ?? '').replace(/ (?:@[0-9a-f]+|KVM).*$/, ''),
  }));
}
