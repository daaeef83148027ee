import { expect, it } from 'vitest';
import { oneOfEverything, sourceOf } from '../../test/support/export-source.js';
import { exportFixedBars } from './fixed-bars.js';

/** Reads the file by the words of its format alone. */
function read(file: Uint8Array) {
  const bytes = Buffer.from(file);
  let at = 8;
  const devices = Array.from({ length: bytes.readUInt32LE(4) }, () => {
    const [vendor, device] = [bytes.readUInt16LE(at), bytes.readUInt16LE(at + 2)];
    const [fixed, bus, count, zero] = bytes.subarray(at + 4, at + 8);
    at += 8;
    const bars = Array.from({ length: count! }, () => {
      const bar = `${bytes[at]} ${bytes.readUInt32LE(at + 4)} ${bytes.readBigUInt64LE(at + 8).toString(16)}+${bytes.readBigUInt64LE(at + 16).toString(16)}`;
      expect(bytes.readUIntLE(at + 1, 3)).toBe(0);
      at += 24;
      return bar;
    });
    expect(zero).toBe(0);
    return { id: `${vendor.toString(16)}:${device.toString(16)}`, fixed, bus, bars };
  });
  expect(at).toBe(bytes.length);
  return { version: bytes.readUInt32LE(0), devices };
}

it('has devices in the order in which firmware finds them, with their memory BARs', async () => {
  const { content, notes } = exportFixedBars(await sourceOf(oneOfEverything));
  expect(read(content as Uint8Array)).toEqual({
    version: 1,
    devices: [
      {
        id: '10de:2342',
        fixed: 1,
        bus: 0,
        bars: ['0 3 6bc000000000+1000000', '2 3 6b8000000000+4000000000', '4 3 6c8000000000+2000000'],
      },
      { id: '15b3:1023', fixed: 1, bus: 0, bars: ['0 3 6d0000000000+2000000'] },
      { id: '1af4:1000', fixed: 0, bus: 0, bars: ['1 0 10302000+1000', '4 3 400040000000+4000'] },
      { id: '1af4:1005', fixed: 0, bus: 0, bars: ['1 0 10303000+1000'] },
    ],
  });
  expect(notes.join('\n')).toContain('pinned I/O BARs, VF BARs and ROMs are not in the file: net0, nic0');
});

it('needs vendor and device ids', async () => {
  await expect(sourceOf(oneOfEverything.replace('device: 0x2342', '')).then(exportFixedBars)).rejects.toThrow(
    'does not say vendor and device id of gpu0 (0000:03:00.0)',
  );
});
