import { describe, expect, it } from 'vitest';
import type { PhysicalMemory } from '../physical-memory.js';
import type { IoPorts } from '../io-ports.js';
import { readFwCfgFile } from './fw-cfg.js';

const SCRATCH = 0x1_0000n;
const FILE = Buffer.from('what the file holds');

/** The device by its specification: a request's address in two writes, big-endian, and what was asked for behind it. */
function device(files: Readonly<Record<string, Buffer>>, { answers = true } = {}) {
  const ram = Buffer.alloc(0x4000, 0xa5);
  const names = Object.keys(files);
  const directory = Buffer.alloc(4 + 64 * names.length);
  directory.writeUInt32BE(names.length, 0);
  names.forEach((name, i) => {
    directory.writeUInt32BE(files[name]?.length ?? 0, 4 + 64 * i);
    directory.writeUInt16BE(0x20 + i, 8 + 64 * i);
    directory.write(name, 12 + 64 * i, 'latin1');
  });
  const items = new Map([[0x19, directory], ...names.map((name, i) => [0x20 + i, files[name] as Buffer] as const)]);
  const at = (address: bigint) => Number(address - SCRATCH);
  let high = 0n;
  const swapped = (value: number) => BigInt(Buffer.from(Uint32Array.of(value).buffer).readUInt32BE(0));
  const ports: IoPorts = {
    batch: (ops) => {
      for (const op of ops) {
        if (op.kind === 'out' && op.port === 0x514) high = swapped(op.value);
        else if (op.kind === 'out' && op.port === 0x518 && answers) {
          const request = at((high << 32n) | swapped(op.value));
          const control = ram.readUInt32BE(request);
          const length = ram.readUInt32BE(request + 4);
          expect(control & 0xffff).toBe(0xa);
          items.get(control >>> 16)?.copy(ram, at(ram.readBigUInt64BE(request + 8)), 0, length);
          ram.writeUInt32BE(0, request);
        }
      }
      return Promise.resolve(ops.map(() => 0));
    },
  };
  const memory: PhysicalMemory = {
    source: 'qtest',
    batch: () => Promise.reject(new Error('not here')),
    readBytes: (address, size) => Promise.resolve(Uint8Array.from(ram.subarray(at(address), at(address) + size))),
    writeBytes: (address, bytes) => {
      ram.set(bytes, at(address));
      return Promise.resolve();
    },
  };
  return { ram, tools: { memory, ports, scratch: SCRATCH } };
}

describe('fw_cfg', () => {
  it('gives a file, and leaves guest RAM as it was', async () => {
    const { ram, tools } = device({ 'etc/smbios': Buffer.alloc(3), 'etc/e820': FILE, 'etc/e8': Buffer.alloc(9) });
    expect(Buffer.from(await readFwCfgFile('etc/e820', tools))).toEqual(FILE);
    expect(ram.every((byte) => byte === 0xa5)).toBe(true);
  });

  it('says what is missing', async () => {
    const missing = readFwCfgFile('etc/e820', device({ 'etc/e82': FILE }).tools);
    await expect(missing).rejects.toMatchObject({
      code: 'fw-cfg',
      exit: 3,
      message: expect.stringContaining('has no file etc/e820') as string,
    });
    await expect(readFwCfgFile('etc/e820', device({}, { answers: false }).tools)).rejects.toMatchObject({
      code: 'fw-cfg',
      message: expect.stringContaining('does not answer') as string,
    });
  });
});
