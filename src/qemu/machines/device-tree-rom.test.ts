import { describe, expect, it } from 'vitest';
import { virtHostBridge, virtTree } from '../../../test/support/virt-tree.js';
import { setProperty } from '../../devicetree/edit.js';
import { parseDeviceTree } from '../../devicetree/parse.js';
import { writeDeviceTree } from '../../devicetree/write.js';
import { findDeviceTree, readDeviceTree, replaceDeviceTree } from './device-tree-rom.js';
import type { PhysicalMemory } from '../physical-memory.js';
import type { Qmp } from '../qmp.js';

const rom = { address: 0x4820_0000n, size: 1 << 20, next: 0x4830_0000n };

/** RAM of 2 MiB at 0x48200000, and what was read and written of it. */
function memoryWith(blob: Uint8Array) {
  const bytes = new Uint8Array(2 << 20).fill(0xa5);
  bytes.set(blob);
  const log: string[] = [];
  const memory: PhysicalMemory = {
    source: 'qtest',
    batch: () => Promise.reject(new Error('not here')),
    readBytes: (address, size) => {
      log.push(`read ${size}`);
      const at = Number(address - rom.address);
      return Promise.resolve(bytes.slice(at, at + size));
    },
    writeBytes: (address, data) => {
      log.push(`write ${data.length}`);
      bytes.set(data, Number(address - rom.address));
      return Promise.resolve();
    },
  };
  return { memory, bytes, log };
}
const tree = virtTree(virtHostBridge);
const blob = writeDeviceTree(tree, { totalSize: 1 << 20 });

/** A QMP that answers `x-query-roms`. */
const roms = (answer: unknown) =>
  ({
    execute: (command: string) => {
      expect(command).toBe('x-query-roms');
      return Promise.resolve(answer);
    },
  }) as unknown as Qmp;

describe('where the device tree lies', () => {
  it.each([
    [
      'with a kernel',
      'addr=0000000040000000 size=0x000028 mem=ram name="bootloader"\naddr=0000000040200000 size=0x29d0000 mem=ram name="/boot/vmlinuz"\naddr=0000000048000000 size=0x27a1c3 mem=ram name="initrd"\naddr=0000000048200000 size=0x100000 mem=ram name="dtb"\n',
      { address: 0x4820_0000n, size: 1 << 20, next: undefined },
    ],
    [
      'without',
      'addr=0000000040000000 size=0x100000 mem=ram name="dtb"\n',
      { address: 0x4000_0000n, size: 1 << 20, next: undefined },
    ],
    [
      'above 4 GiB',
      'addr=0000008000000000 size=0x200000 mem=ram name="fdt"\n',
      { address: 0x80_0000_0000n, size: 2 << 20, next: undefined },
    ],
    [
      'on riscv64, without slack and below a loaded file',
      'addr=0000000080000000 size=0x042868 mem=ram name="fw_dynamic.bin"\naddr=000000009fe00000 size=0x0013e9 mem=ram name="fdt"\naddr=00000000a0000000 size=0x10 mem=ram name="late"\naddr=000000009ff00000 size=0x10 mem=ram name="next"\n/rom@etc/acpi/tables size=0x200000 name="etc/acpi/tables"\n',
      { address: 0x9fe0_0000n, size: 0x13e9, next: 0x9ff0_0000n },
    ],
  ])('%s', async (_, text, rom) => {
    expect(await findDeviceTree(roms({ 'human-readable-text': text }))).toEqual(rom);
  });

  it.each([
    [
      'a kernel that is called dtb',
      { 'human-readable-text': 'addr=0000000040000000 size=0x28 mem=ram name="/tmp/dtb"\n' },
    ],
    ['no ROM at all', { 'human-readable-text': '' }],
    ['an answer without text', {}],
  ])('%s is none', async (_, answer) => {
    await expect(findDeviceTree(roms(answer))).rejects.toMatchObject({ code: 'devicetree-missing', exit: 3 });
  });
});

describe('reading and replacing it', () => {
  it('reads no more than is used, and gives the tree that is there', async () => {
    const { memory, log } = memoryWith(blob);
    const found = await readDeviceTree(memory, rom);
    expect(found).toEqual(parseDeviceTree(blob));
    expect(found.totalSize).toBe(1 << 20);
    expect(log[0]).toBe('read 40');
    expect(Number(log[1]?.split(' ')[1])).toBeLessThan(4096);
  });

  it('puts another in its place, within its size, and touches nothing behind', async () => {
    const { memory, bytes, log } = memoryWith(blob);
    const edited = setProperty(tree, '/chosen', 'linux,pci-probe-only', Uint8Array.of(0, 0, 0, 1));
    await replaceDeviceTree(memory, rom, edited);
    expect(await readDeviceTree(memory, rom)).toEqual(edited);
    expect(Number(log[0]?.split(' ')[1])).toBeLessThan(4096);
    expect(bytes.subarray(1 << 20).every((byte) => byte === 0xa5)).toBe(true);
  });

  it('lets a tree without slack grow into the RAM behind it, and reads it again', async () => {
    const packed = { ...tree, totalSize: 0 };
    const small = writeDeviceTree(packed);
    const { memory } = memoryWith(small);
    const packedRom = { ...rom, size: small.length };
    const edited = setProperty(packed, '/chosen', 'linux,pci-probe-only', Uint8Array.of(0, 0, 0, 1));
    await replaceDeviceTree(memory, packedRom, edited);
    const again = await readDeviceTree(memory, packedRom);
    expect(again.root).toEqual(edited.root);
    expect(again.totalSize).toBeGreaterThan(small.length);
  });

  it.each([
    ['the next ROM', rom, 2 << 20],
    // RAM ends 2 MiB behind it.
    ['the end of RAM', { ...rom, address: 0xbfe0_0000n, next: undefined }, 3 << 20],
  ])('refuses a tree that would reach past %s, and writes nothing', async (_, place, size) => {
    const { memory, log } = memoryWith(blob);
    const large = setProperty(tree, '/chosen', 'bootargs', new Uint8Array(size));
    await expect(replaceDeviceTree(memory, place, large)).rejects.toMatchObject({ code: 'devicetree-size', exit: 3 });
    expect(log).toEqual([]);
  });

  it.each<[string, (view: DataView) => void]>([
    ['says that it is larger than what QEMU loaded', (view) => view.setUint32(4, 4 << 20)],
    ['has its strings behind its end', (view) => view.setUint32(12, 0xffff_fff0)],
    ['has its structure behind its end', (view) => view.setUint32(36, 0xffff_ffff)],
    ['is no device tree', (view) => view.setUint32(0, 0x7f454c46)],
    [
      'is all ones',
      (view) => {
        for (let at = 0; at < 40; at += 4) view.setUint32(at, 0xffff_ffff);
      },
    ],
  ])('a blob that %s is refused', async (_, spoil) => {
    const spoilt = blob.slice();
    spoil(new DataView(spoilt.buffer));
    const { memory } = memoryWith(spoilt);
    await expect(readDeviceTree(memory, rom)).rejects.toMatchObject({
      code: expect.stringMatching(/^devicetree-/) as string,
    });
  });
});
