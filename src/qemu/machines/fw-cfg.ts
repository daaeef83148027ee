import type { CpuAddress } from '../../address/kinds.js';
import { Exit, Problem } from '../../problem/problem.js';
import type { PhysicalMemory } from '../physical-memory.js';
import { outOp, type IoPorts } from '../io-ports.js';

/** QEMU docs/specs/fw_cfg.rst, "Guest-side DMA Interface": the address of a request, high half first, big-endian. */
const DMA_HIGH = 0x514;
const DMA_LOW = 0x518;
const control = { error: 0x1, read: 0x2, select: 0x8 } as const;
const FILE_DIRECTORY = 0x19;
const ENTRY = 64;
const MAX_FILES = 1024;
/** What is read of a file at most. */
const MAX_FILE = 1 << 16;

/**
 * Reads a file that QEMU offers to firmware (fw_cfg). QEMU copies it into guest RAM, whose former bytes are put back: the
 * guest must be stopped.
 * @param scratch RAM with room for the file and 16 bytes
 * @throws Problem `fw-cfg`, exit 3, where there is no such file
 */
export async function readFwCfgFile(
  name: string,
  {
    memory,
    ports,
    scratch,
  }: { readonly memory: PhysicalMemory; readonly ports: IoPorts; readonly scratch: CpuAddress },
): Promise<Uint8Array> {
  const read = async (key: number, size: number): Promise<Uint8Array> => {
    const request = Buffer.alloc(16);
    request.writeUInt32BE(((key << 16) | control.select | control.read) >>> 0, 0);
    request.writeUInt32BE(size, 4);
    request.writeBigUInt64BE(scratch + 16n, 8);
    const before = await memory.readBytes(scratch, 16 + size);
    await memory.writeBytes(scratch, request);
    const halves = [Number(scratch >> 32n), Number(scratch & 0xffff_ffffn)] as const;
    await ports.batch([outOp(DMA_HIGH, 4, swap32(halves[0])), outOp(DMA_LOW, 4, swap32(halves[1]))]);
    const after = Buffer.from(await memory.readBytes(scratch, 16 + size));
    await memory.writeBytes(scratch, before);
    // Done is all zeros but for the error bit.
    if (after.readUInt32BE(0) !== 0) throw failed(`does not answer (${after.subarray(0, 4).toString('hex')})`);
    return after.subarray(16);
  };
  const count = Buffer.from(await read(FILE_DIRECTORY, 4)).readUInt32BE(0);
  if (count > MAX_FILES) throw failed(`says that it has ${count} files`);
  const directory = Buffer.from(await read(FILE_DIRECTORY, 4 + count * ENTRY));
  for (let at = 4; at < directory.length; at += ENTRY) {
    const entry = directory.subarray(at, at + ENTRY);
    if (entry.toString('latin1', 8).replace(/\0.*$/s, '') !== name) continue;
    return read(entry.readUInt16BE(4), Math.min(entry.readUInt32BE(0), MAX_FILE));
  }
  throw failed(`has no file ${name}`);
}

const swap32 = (value: number): number =>
  (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;

const failed = (what: string) =>
  new Problem('fw-cfg', `QEMU's firmware configuration device ${what}`, { exit: Exit.outside });
