import { describe, expect, it } from 'vitest';
import { ascii, readLittle } from '../acpi/bytes.js';
import { uuidBytes } from '../acpi/uuid.js';
import { callSign, mailbox } from './driver/caller.js';
import { guid } from './guids.js';
import { optionRom } from './option-rom.js';

const number = (bytes: Uint8Array, at: number, width: number): number => Number(readLittle(bytes, at, width));

/** What a loader of PE32+ files reads. Microsoft PE format. */
function readImage(file: Uint8Array) {
  expect(ascii(file.subarray(0, 2))).toBe('MZ');
  const pe = number(file, 0x3c, 4);
  expect(ascii(file.subarray(pe, pe + 4))).toBe('PE\0\0');
  const optional = pe + 24;
  const sections = Array.from({ length: number(file, pe + 6, 2) }, (_, i) => {
    const at = optional + number(file, pe + 20, 2) + 40 * i;
    const [size = 0, address = 0, rawSize = 0, raw = 0] = [8, 12, 16, 20].map((offset) => number(file, at + offset, 4));
    return {
      name: ascii(file.subarray(at, at + 8)).replace(/\0+$/, ''),
      size,
      address,
      content: file.subarray(raw, raw + rawSize),
      flags: number(file, at + 36, 4),
    };
  });
  return {
    machine: number(file, pe + 4, 2),
    magic: number(file, optional, 2),
    entry: number(file, optional + 16, 4),
    alignment: number(file, optional + 32, 4),
    size: number(file, optional + 56, 4),
    headers: number(file, optional + 60, 4),
    subsystem: number(file, optional + 68, 2),
    sections,
  };
}

describe.each([
  ['aarch64', 0xaa64],
  ['riscv64', 0x5064],
  ['x86_64', 0x8664],
] as const)('the option ROM for %s', (arch, machine) => {
  const rom = optionRom(arch);

  it('is one EFI image for it', () => {
    expect(rom.length % 512).toBe(0);
    expect(number(rom, 0, 2)).toBe(0xaa55);
    expect(number(rom, 2, 2) * 512).toBe(rom.length);
    expect(number(rom, 4, 4)).toBe(0x0ef1);
    expect(number(rom, 8, 2)).toBe(11);
    expect(number(rom, 10, 2)).toBe(machine);
    const data = number(rom, 0x18, 2);
    expect(ascii(rom.subarray(data, data + 4))).toBe('PCIR');
    expect(number(rom, data + 0x10, 2) * 512).toBe(rom.length);
    // An EFI image, and the last.
    expect([rom[data + 0x14], rom[data + 0x15]]).toEqual([3, 0x80]);
  });

  it('holds a boot service driver whose sections a loader can keep apart', () => {
    const image = readImage(rom.subarray(number(rom, 0x16, 2)));
    expect(image).toMatchObject({ machine, magic: 0x20b, subsystem: 11, alignment: 0x1000 });
    const [text, data] = image.sections;
    expect(image.sections.map(({ name }) => name)).toEqual(['.text', '.data']);
    // Read and execute; read and write.
    expect([text?.flags, data?.flags]).toEqual([0x6000_0020, 0xc000_0040]);
    for (const { address, size, content } of image.sections) {
      expect(address % image.alignment).toBe(0);
      expect(size).toBeLessThanOrEqual(content.length);
      expect(address + size).toBeLessThanOrEqual(image.size);
    }
    expect(text!.address + text!.size).toBeLessThanOrEqual(data!.address);
    expect(image.entry).toBeGreaterThanOrEqual(text!.address);
    expect(image.entry).toBeLessThan(text!.address + text!.size);
  });

  it('has its mailbox and the GUIDs that it asks for', () => {
    const { content } = readImage(rom.subarray(number(rom, 0x16, 2))).sections[1]!;
    const at = Buffer.from(content).indexOf(mailbox.signature);
    expect(at % 8).toBe(0);
    expect(number(content, at + mailbox.systemTable, 8)).toBe(0);
    expect(number(content, at + mailbox.wait, 8)).toBe(1);
    // The address to come, and the mark, are what goes into config space.
    expect(number(content, at + mailbox.size, 8)).toBe(0);
    expect(number(content, at + mailbox.size + 8, 4)).toBe(callSign.mark);
    for (const name of ['pciRootBridgeIo', 'rootBridgesConnected', 'dxeSmmReadyToLock'] as const) {
      expect(Buffer.from(content).includes(Buffer.from(uuidBytes(guid[name])))).toBe(true);
    }
  });

  it('is the same every time', () => {
    expect(optionRom(arch)).toEqual(rom);
  });
});
