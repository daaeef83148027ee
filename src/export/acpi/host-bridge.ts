import { FOUR_GIB } from '../../address/kinds.js';
import type { HostWindow } from '../../machine/model.js';
import type { ExportSource } from '../exported.js';
import { hostWindows, layoutOf, type PlacedHost } from '../layout.js';

/** A host bridge as its device in the ACPI namespace has it. */
export interface AcpiHostBridge {
  /** Four characters. */
  readonly name: string;
  readonly id: string;
  readonly segment: number;
  readonly buses: readonly [number, number];
  readonly uid: number;
  readonly resources: readonly AcpiWindow[];
}

/** A window: addresses on the bus, and what is added for the CPU's side, modulo 2 to the width. */
export interface AcpiWindow {
  readonly kind: 'io' | 'memory32' | 'memory64';
  readonly base: bigint;
  readonly limit: bigint;
  readonly translation: bigint;
}

export function acpiHostBridges({ plan, machine }: ExportSource): { bridges: AcpiHostBridge[]; notes: string[] } {
  const hosts = layoutOf(plan, machine);
  const seen = hosts.map((host) => hostWindows(host));
  return {
    bridges: hosts.map((host, i) => bridgeOf(host, seen[i]?.windows ?? [], i)),
    notes: [...new Set(seen.flatMap(({ notes }) => notes))],
  };
}

const bridgeOf = ({ planned, wanted }: PlacedHost, windows: readonly HostWindow[], index: number): AcpiHostBridge => ({
  name:
    index < 16 ? `PCI${index.toString(16).toUpperCase()}` : `PC${index.toString(16).toUpperCase().padStart(2, '0')}`,
  id: planned.id,
  segment: planned.segment,
  buses: wanted?.buses ?? planned.buses,
  uid: index,
  resources: windows.map(({ type, base, size, cpuBase }): AcpiWindow => {
    const limit = base + size - 1n;
    const shift = cpuBase - base;
    if (type === 'io') return { kind: 'io', base, limit, translation: shift };
    // A 32-bit descriptor says a translation of 32 bits.
    const kind = limit < FOUR_GIB && shift === 0n ? 'memory32' : 'memory64';
    return { kind, base, limit, translation: BigInt.asUintN(64, shift) };
  }),
});
