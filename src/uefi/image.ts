import { concat, fromAscii, little } from '../acpi/bytes.js';
import { compile } from './driver/compile.js';
import type { InstructionSet } from './driver/instruction-set.js';
import type { DriverSource } from './driver/source.js';

/** Sections are pages of their own, so that firmware can make code read-only and data not executable. */
const PAGE = 0x1000;
const FILE_ALIGNMENT = 0x200;
const HEADERS = 0x200;
export const BOOT_SERVICE_DRIVER = 11;

const bytes = (value: number, width: number): Uint8Array => little(BigInt(value), width);
const aligned = (size: number): number => Math.ceil(size / FILE_ALIGNMENT) * FILE_ALIGNMENT;
const padded = (content: Uint8Array, size = aligned(content.length)): Uint8Array =>
  concat(content, new Uint8Array(size - content.length));

/**
 * A UEFI boot service driver as a PE32+ file. Microsoft PE format; UEFI 2.10 §2.1.1. It has no relocations: the code finds its
 * data by their distance.
 */
export function driverImage(source: DriverSource, isa: InstructionSet): Uint8Array {
  const { code, data, entry } = compile(source, isa, PAGE);
  const sections = [
    { name: '.text', content: code, at: PAGE, flags: 0x6000_0020 },
    { name: '.data', content: data, at: 2 * PAGE, flags: 0xc000_0040 },
  ];
  let offset = HEADERS;
  const table = sections.map(({ name, content, at, flags }) => {
    const size = aligned(content.length);
    const entryOf = concat(
      padded(fromAscii(name), 8),
      ...[content.length, at, size, offset].map((value) => bytes(value, 4)),
      new Uint8Array(12),
      bytes(flags, 4),
    );
    offset += size;
    return entryOf;
  });
  const optional = concat(
    bytes(0x20b, 2),
    bytes(0, 2),
    ...[aligned(code.length), aligned(data.length), 0, PAGE + entry, PAGE].map((value) => bytes(value, 4)),
    bytes(0, 8), // image base: anywhere
    bytes(PAGE, 4),
    bytes(FILE_ALIGNMENT, 4),
    new Uint8Array(16),
    bytes(3 * PAGE, 4),
    bytes(HEADERS, 4),
    bytes(0, 4),
    bytes(BOOT_SERVICE_DRIVER, 2),
    bytes(0x100, 2), // NX compatible: data are not executed
    new Uint8Array(36),
    bytes(16, 4),
    new Uint8Array(16 * 8),
  );
  const header = concat(
    fromAscii('PE'),
    bytes(0, 2),
    bytes(isa.peMachine, 2),
    bytes(sections.length, 2),
    new Uint8Array(12),
    bytes(optional.length, 2),
    bytes(0x022e, 2), // executable, addresses beyond 2 GiB, no line numbers, symbols or debug information
  );
  const dos = concat(fromAscii('MZ'), new Uint8Array(58), bytes(0x40, 4));
  return concat(
    padded(concat(dos, header, optional, ...table), HEADERS),
    ...sections.map(({ content }) => padded(content)),
  );
}
