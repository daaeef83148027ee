import { hex } from '../address/format.js';
import { FOUR_GIB } from '../address/kinds.js';
import { AddressRange } from '../address/range.js';
import { Exit, Problem } from '../problem/problem.js';
import { concat, readLittle } from './bytes.js';
import { definitions, type Definition } from './namespace.js';
import { decodeAddressSpaces, setRange, type AddressSpace } from './resources.js';
import { requireTable, withChecksum } from './table.js';
import { arg, buffer, equal, ifThen, integer, NOOP, returns, uuid, type Aml } from './write.js';

/** Where QEMU has its PCI Express host bridge, on every board. */
export const QEMU_HOST_BRIDGE = '\\_SB_.PCI0';

/** PCI Firmware Specification 3.3 §4.6. */
const PCI_DSM = 'e5c937d0-3553-4d7a-9117-ea4d19c3434d';
/** Bit n says that function n is there: 0, which answers with this, and 5. */
const FUNCTIONS = Uint8Array.of(0b10_0001);

/**
 * The body of a host bridge's _DSM that answers function 5 with 0: "the operating system must not ignore the PCI
 * configuration that firmware has done" (PCI Firmware Specification 3.3 §4.6.5). Linux claims BARs and windows as they stand
 * then (drivers/pci/pci-acpi.c, pci_acpi_preserve_config), where arm64 and riscv64 otherwise assign all of them anew.
 */
export const keepBootConfiguration: Aml = concat(
  ifThen(equal(arg(0), uuid(PCI_DSM)), ifThen(arg(2), returns(integer(0n))), returns(buffer(FUNCTIONS))),
  returns(buffer(Uint8Array.of(0))),
);

/**
 * A DSDT whose host bridge makes the operating system keep BARs and windows: the body of its _DSM is replaced. Nothing else
 * moves, so the table can be written in the place of the old one.
 * @throws Problem `acpi-table`, `aml-unreadable`, `acpi-dsm`, exit 3
 */
export function keepBars(dsdt: Uint8Array, bridge = QEMU_HOST_BRIDGE): Uint8Array {
  requireTable(dsdt, 'DSDT');
  const dsm = find(dsdt, 'method', `${bridge}._DSM`);
  const room = dsm ? dsm.end - dsm.start : 0;
  if (!dsm || room < keepBootConfiguration.length) {
    throw new Problem(
      'acpi-dsm',
      dsm
        ? `the method ${bridge}._DSM of the ACPI tables has ${room} bytes, and what makes the guest keep its BARs needs ${keepBootConfiguration.length}`
        : `the ACPI tables have no method ${bridge}._DSM`,
      { exit: Exit.outside, facts: { room } },
    );
  }
  const edited = dsdt.slice();
  edited.fill(NOOP, dsm.start, dsm.end);
  edited.set(keepBootConfiguration, dsm.start);
  return withChecksum(edited);
}

/** The windows of a host bridge: its _CRS. Offsets are in the table. */
export function hostBridgeWindows(dsdt: Uint8Array, bridge = QEMU_HOST_BRIDGE): AddressSpace[] {
  requireTable(dsdt, 'DSDT');
  const crs = find(dsdt, 'name', `${bridge}._CRS`);
  const content = crs && bufferAt(dsdt, crs);
  if (!content) {
    throw new Problem('acpi-crs', `the ACPI tables have no ${bridge}._CRS that is a buffer`, { exit: Exit.outside });
  }
  return decodeAddressSpaces(dsdt.subarray(content.start, content.end)).map((one) => ({
    ...one,
    offset: one.offset + content.start,
  }));
}

/**
 * A DSDT whose host bridge has this window above 4 GiB, in the place of the one that it has there.
 * @throws Problem `acpi-table`, `aml-unreadable`, `acpi-crs`, exit 3
 */
export function moveHighWindow(dsdt: Uint8Array, to: AddressRange, bridge = QEMU_HOST_BRIDGE): Uint8Array {
  const windows = hostBridgeWindows(dsdt, bridge);
  const high = windows.filter(isHigh);
  const [only] = high;
  if (!only || high.length > 1) {
    throw new Problem(
      'acpi-crs',
      `the ACPI tables give ${bridge} ${high.length === 0 ? 'no window' : `${high.length} windows`} above 4 GiB, where one is to hold ${to.toString()}`,
      { exit: Exit.outside, facts: { windows: windows.map(({ base, limit }) => `${hex(base)}-${hex(limit)}`) } },
    );
  }
  const edited = dsdt.slice();
  setRange(edited, only, to.base, to.limit);
  return withChecksum(edited);
}

/** The memory windows of all other devices: what their _CRS hands on. */
export function windowsOfOthers(dsdt: Uint8Array, bridge = QEMU_HOST_BRIDGE): AddressRange[] {
  requireTable(dsdt, 'DSDT');
  return [...definitions(dsdt)]
    .filter(({ kind, path }) => kind === 'name' && path.endsWith('._CRS') && path !== `${bridge}._CRS`)
    .flatMap((one) => {
      const content = bufferAt(dsdt, one);
      return content ? decodeAddressSpaces(dsdt.subarray(content.start, content.end)) : [];
    })
    .flatMap(({ kind, base, limit }) => (kind === 'memory' && base <= limit ? [AddressRange.of(base, limit)] : []));
}

export const isHigh = ({ kind, width, base }: AddressSpace): boolean =>
  kind === 'memory' && width === 8 && base >= FOUR_GIB;

function find(dsdt: Uint8Array, kind: Definition['kind'], path: string): Definition | undefined {
  for (const one of definitions(dsdt)) if (one.kind === kind && one.path === path) return one;
  return undefined;
}

/** The bytes of a buffer whose size is a constant. ACPI 6.5 §20.2.5.4, DefBuffer. */
function bufferAt(table: Uint8Array, { start, end }: Definition): { start: number; end: number } | undefined {
  if (table[start] !== 0x11) return undefined;
  const size = start + 2 + ((table[start + 1] ?? 0) >>> 6);
  const width = { 0x0a: 1, 0x0b: 2, 0x0c: 4 }[table[size] ?? 0];
  if (width === undefined) return undefined;
  const from = size + 1 + width;
  const to = from + Number(readLittle(table, size + 1, width));
  return to <= end ? { start: from, end: to } : undefined;
}
