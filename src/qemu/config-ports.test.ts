import { describe, expect, it } from 'vitest';
import { readOp, writeOp } from '../pci/config-access.js';
import { PortConfigAccess } from './config-ports.js';
import type { PortOp } from './io-ports.js';

const at = { segment: 0, bus: 2, device: 3, fn: 1 };

describe('config space by ports', () => {
  it('names the dword in 0xcf8, and accesses the bytes in 0xcfc', async () => {
    const seen: string[] = [];
    const batch = (ops: readonly PortOp[]) => {
      seen.push(
        ...ops.map(
          (op) =>
            `${op.kind}${op.width} ${op.port.toString(16)}${op.kind === 'out' ? ` ${op.value.toString(16)}` : ''}`,
        ),
      );
      return Promise.resolve(ops.map(({ port }) => port));
    };
    const access = new PortConfigAccess({ batch }, 'qtest');
    const values = await access.batch([
      readOp(at, 0x10, 4),
      readOp(at, 0x0e, 1),
      writeOp(at, 0x06, 2, 0xffff),
      readOp(at, 0x100, 4),
      writeOp(at, 0x104, 4, 1),
      readOp({ ...at, segment: 1 }, 0, 2),
    ]);
    expect(values).toEqual([0xcfc, 0xcfe, 0xcfe, 0xffff_ffff, 0, 0xffff]);
    expect(seen).toEqual([
      'in4 cf8',
      'out4 cf8 80021910',
      'in4 cfc',
      'out4 cf8 8002190c',
      'in1 cfe',
      'out4 cf8 80021904',
      'out2 cfe ffff',
      'out4 cf8 cf8',
    ]);
  });

  it('sends nothing where nothing can be reached', async () => {
    const access = new PortConfigAccess({ batch: () => Promise.reject(new Error('sent')) }, 'qtest');
    expect(await access.batch([readOp(at, 0x100, 1)])).toEqual([0xff]);
    await expect(access.batch([readOp(at, 2, 4)])).rejects.toThrow(/register 0x2 cannot be accessed 4 bytes wide/);
  });
});
