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
  /** Bytes that QEMU has set aside for it: 1 MiB on aarch64 `virt`. */
  readonly size: number;
}

/**
 * Asks QEMU where the device tree lies (QMP `x-query-roms`, from 6.2; hw/core/loader.c prints it).
 * @throws Problem `devicetree-missing`, exit 3, where the machine has none
 */
export async function findDeviceTree(qmp: Qmp): Promise<DeviceTreeRom> {
  const answer = await qmp.execute('x-query-roms');
  const text = (answer as { 'human-readable-text'?: string } | null)?.['human-readable-text'] ?? '';
  const match = /^addr=([0-9a-f]+) size=0x([0-9a-f]+) mem=\S+ name="(?:dtb|fdt)"$/m.exec(text);
  if (!match) {
    throw new Problem('devicetree-missing', 'this machine has no device tree in its memory', {
      exit: Exit.outside,
      hint: 'pinbar works with boards that hand the guest a device tree, such as virt',
    });
  }
  return { address: BigInt(`0x${match[1] ?? '0'}`), size: Number(BigInt(`0x${match[2] ?? '0'}`)) };
}

/**
 * Reads the tree: its header first, then no more than the header says is used.
 * @throws Problem `devicetree-…` where it is malformed
 */
export async function readDeviceTree(memory: PhysicalMemory, rom: DeviceTreeRom): Promise<DeviceTree> {
  const header = await memory.readBytes(rom.address, HEADER_SIZE);
  const used = usedBytes(header);
  const total = new DataView(header.buffer, header.byteOffset).getUint32(4);
  if (total > rom.size || total > limits.bytes || used > total) {
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
 * Writes a tree in the place of QEMU's, at the same address and within the same size.
 * @throws Problem `devicetree-size`
 */
export async function replaceDeviceTree(memory: PhysicalMemory, rom: DeviceTreeRom, tree: DeviceTree): Promise<void> {
  const blob = writeDeviceTree(tree, { totalSize: Math.min(tree.totalSize, rom.size) });
  await memory.writeBytes(rom.address, blob.subarray(0, usedBytes(blob)));
}

/** The end of the last of the blocks that the header names. Devicetree Specification 0.4 §5.2. */
function usedBytes(header: Uint8Array): number {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const field = (index: number) => view.getUint32(index * 4);
  return Math.max(field(2) + field(9), field(3) + field(8), field(4));
}
