import { memoryRanges } from '../../devicetree/memory.js';
import { HEADER_SIZE, limits, parseDeviceTree } from '../../devicetree/parse.js';
import type { DeviceTree } from '../../devicetree/tree.js';
import { writeDeviceTree } from '../../devicetree/write.js';
import { hex } from '../../address/format.js';
import type { CpuAddress } from '../../address/kinds.js';
import { Exit, Problem } from '../../problem/problem.js';
import type { PhysicalMemory } from '../physical-memory.js';
import type { Qmp } from '../qmp.js';

/**
 * Where QEMU has put the device tree in guest memory. It is loaded as a ROM: QEMU writes its own copy there again at
 * every reset, with fresh seeds, so pinbar edits it there after every reset and needs neither a file nor a second QEMU.
 */
export interface DeviceTreeRom {
  readonly address: CpuAddress;
  /** Bytes that QEMU has loaded: 1 MiB on aarch64 `virt`, on riscv64 from QEMU 8.0 on what the tree uses and no more. */
  readonly size: number;
  /** Where the next thing that QEMU has loaded begins; undefined where nothing lies above. */
  readonly next: CpuAddress | undefined;
}

/**
 * Asks QEMU where the device tree lies (QMP `x-query-roms`, from 6.2; hw/core/loader.c prints it).
 * @throws Problem `devicetree-missing`, exit 3, where the machine has none
 */
export async function findDeviceTree(qmp: Qmp): Promise<DeviceTreeRom> {
  const answer = await qmp.execute('x-query-roms');
  const text = (answer as { 'human-readable-text'?: string } | null)?.['human-readable-text'] ?? '';
  const roms = [...text.matchAll(/^addr=([0-9a-f]+) size=0x([0-9a-f]+) mem=\S+ name="(.*)"$/gm)].map((match) => ({
    address: BigInt(`0x${match[1] ?? '0'}`),
    size: Number(BigInt(`0x${match[2] ?? '0'}`)),
    name: match[3],
  }));
  const found = roms.find(({ name }) => name === 'dtb' || name === 'fdt');
  if (!found) {
    throw new Problem('devicetree-missing', 'this machine has no device tree in its memory', {
      exit: Exit.outside,
      hint: 'pinbar works with boards that hand the guest a device tree, such as virt',
    });
  }
  const above = roms.map(({ address }) => address).filter((address) => address > found.address);
  return {
    address: found.address,
    size: found.size,
    next: above.reduce<CpuAddress | undefined>(
      (least, one) => (least === undefined || one < least ? one : least),
      undefined,
    ),
  };
}

/**
 * Reads the tree: its header first, then no more than the header says is used.
 * @throws Problem `devicetree-…` where it is malformed
 */
export async function readDeviceTree(memory: PhysicalMemory, rom: DeviceTreeRom): Promise<DeviceTree> {
  const header = await memory.readBytes(rom.address, HEADER_SIZE);
  const used = usedBytes(header);
  const total = new DataView(header.buffer, header.byteOffset).getUint32(4);
  // It may have grown since QEMU loaded it, up to what lies above.
  const room = Math.max(rom.size, rom.next === undefined ? limits.bytes : Number(rom.next - rom.address));
  if (total > room || total > limits.bytes || used > total) {
    throw new Problem(
      'devicetree-header',
      `the device tree at ${hex(rom.address)} says that it has ${total} bytes, ${used} of them used; QEMU loaded ${rom.size}`,
      {
        exit: Exit.outside,
      },
    );
  }
  const blob = new Uint8Array(Math.max(total, HEADER_SIZE));
  blob.set(await memory.readBytes(rom.address, Math.max(used, HEADER_SIZE)));
  return parseDeviceTree(blob);
}

/**
 * Writes a tree in the place of QEMU's. It may be larger: the RAM behind it is free, and firmware (OpenSBI) lets it grow
 * there as well.
 * @throws Problem `devicetree-size` where it would reach into the next ROM or past the RAM it lies in
 */
export async function replaceDeviceTree(memory: PhysicalMemory, rom: DeviceTreeRom, tree: DeviceTree): Promise<void> {
  const blob = writeDeviceTree(tree);
  const around = memoryRanges(tree).ram.ranges.find(({ base, limit }) => base <= rom.address && rom.address <= limit);
  const ends = [rom.next, around && around.limit + 1n].filter((end) => end !== undefined);
  const end = ends.reduce((least, one) => (one < least ? one : least), rom.address + BigInt(limits.bytes));
  const room = Math.max(Number(end - rom.address), rom.size);
  if (blob.length > room) {
    throw new Problem(
      'devicetree-size',
      `the device tree needs ${blob.length} bytes at ${hex(rom.address)}, and there are ${room} up to ${hex(end)}`,
      { exit: Exit.outside, facts: { needed: blob.length, room } },
    );
  }
  await memory.writeBytes(rom.address, blob.subarray(0, usedBytes(blob)));
}

/** The end of the last of the blocks that the header names. Devicetree Specification 0.4 §5.2. */
function usedBytes(header: Uint8Array): number {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const field = (index: number) => view.getUint32(index * 4);
  return Math.max(field(2) + field(9), field(3) + field(8), field(4));
}
