import { findDsdt } from '../../acpi/find.js';
import { ascii, little, readLittle } from '../../acpi/bytes.js';
import { hex } from '../../address/format.js';
import type { AddressRange } from '../../address/range.js';
import { readOp, writeOp, type ConfigAccess } from '../../pci/config-access.js';
import { Exit, Problem } from '../../problem/problem.js';
import { callSign, mailbox } from '../../uefi/driver/caller.js';
import { guid } from '../../uefi/guids.js';
import { MAX_RESOURCES, withRanges } from '../../uefi/root-bridge-resources.js';
import { readSystemTable } from '../../uefi/system-table.js';
import type { PhysicalMemory } from '../physical-memory.js';

const HOST_BRIDGE = { segment: 0, bus: 0, device: 0, fn: 0 };

/** A driver that has called and waits. */
export interface Call {
  /** Physical addresses. */
  readonly mailbox: bigint;
  readonly systemTable: bigint;
  /** What the root bridge lists as its resources. */
  readonly listed: bigint;
}

/**
 * The call that stands in config space, which is taken out of it; null where there is none.
 * @param ram CPU addresses: a mailbox lies in it
 * @throws Problem `uefi-call`, exit 3, where something else than pinbar's driver seems to call
 */
export async function takeCall(
  access: ConfigAccess,
  memory: PhysicalMemory,
  ram: readonly AddressRange[],
): Promise<Call | null> {
  const registers = [0, 4, 8].map((offset) => callSign.register + offset);
  const [low = 0, high = 0, mark] = await access.batch(registers.map((register) => readOp(HOST_BRIDGE, register, 4)));
  if (mark !== callSign.mark) return null;
  await access.batch(registers.map((register) => writeOp(HOST_BRIDGE, register, 4, 0)));
  const at = (BigInt(high) << 32n) | BigInt(low);
  if (!ram.some((range) => range.contains(at) && range.contains(at + BigInt(mailbox.size)))) throw stranger(at);
  const content = await memory.readBytes(at, mailbox.resources);
  if (ascii(content.subarray(0, 8)) !== mailbox.signature) throw stranger(at);
  const [systemTable, listed] = [mailbox.systemTable, mailbox.listed].map((offset) => readLittle(content, offset, 8));
  return { mailbox: at, systemTable: systemTable ?? 0n, listed: listed ?? 0n };
}

/** Lets the driver go on, once the machine runs. */
export const answer = (memory: PhysicalMemory, call: Call): Promise<void> =>
  memory.writeBytes(call.mailbox + BigInt(mailbox.wait), new Uint8Array(8));

/**
 * Has the firmware's root bridge list these ranges, too, so that its drivers take BARs that lie there.
 * @param identityMapped as {@link withRanges} has it
 * @throws Problem `acpi-resources`, `uefi-resources`, exit 3
 */
export async function listRanges(
  memory: PhysicalMemory,
  call: Call,
  ranges: readonly AddressRange[],
  identityMapped: boolean,
): Promise<void> {
  const resources = withRanges(await memory.readBytes(call.listed, MAX_RESOURCES), ranges, identityMapped);
  if (resources.length > MAX_RESOURCES) {
    throw new Problem('uefi-resources', `the firmware lists ${resources.length} bytes of resources for a root bridge`, {
      exit: Exit.outside,
    });
  }
  await memory.writeBytes(call.mailbox + BigInt(mailbox.resources), resources);
  await memory.writeBytes(call.mailbox + BigInt(mailbox.answered), little(1n, 8));
}

/**
 * Edits the DSDT that firmware has installed, in its place.
 * @returns false where firmware gives the guest no ACPI tables: it has a device tree then
 * @throws Problem `acpi-…`, `aml-…`, `uefi-system-table`, exit 3, and what `edit` throws
 */
export async function editDsdt(
  memory: PhysicalMemory,
  call: Call,
  edit: (dsdt: Uint8Array) => Uint8Array,
): Promise<boolean> {
  const read = (address: bigint, size: number) => memory.readBytes(address, size);
  const { configuration } = await readSystemTable(read, call.systemTable);
  const rsdp = configuration(guid.acpi20Table);
  if (rsdp === undefined) return false;
  const { address, bytes } = await findDsdt(read, rsdp);
  await memory.writeBytes(address, edit(bytes));
  return true;
}

const stranger = (at: bigint) =>
  new Problem('uefi-call', `the firmware called, and at ${hex(at)} there is no mailbox of pinbar's driver`, {
    exit: Exit.outside,
    hint: 'a guest whose memory is encrypted cannot be reached; another version of the driver may be in a device’s ROM',
    facts: { at: hex(at) },
  });
