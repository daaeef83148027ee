import { describe, expect, it } from 'vitest';
import { inOp, outOp } from '../io-ports.js';
import type { Qmp } from '../qmp.js';
import { MonitorPorts } from './monitor-ports.js';

function portsOf(answer: (line: string) => string) {
  const lines: string[] = [];
  const monitor = (line: string) => {
    lines.push(line);
    return Promise.resolve(answer(line));
  };
  return { lines, ports: new MonitorPorts({ monitor } as unknown as Qmp) };
}

describe('I/O ports by the monitor', () => {
  it('are written and read in order, as QEMU prints them', async () => {
    const { lines, ports } = portsOf((line) => (line.startsWith('i') ? 'portl[0x0cfc] = 0xb0000001\r\n' : ''));
    const values = await ports.batch([
      outOp(0xcf8, 4, 0x80000060),
      inOp(0xcfc, 4),
      outOp(0x510, 2, 0x19),
      inOp(0x511, 1),
    ]);
    expect(values).toEqual([0, 0xb0000001, 0, 0xb0000001]);
    expect(lines).toEqual(['o/w 0xcf8 0x80000060', 'i/w 0xcfc', 'o/h 0x510 0x19', 'i/b 0x511']);
  });

  it('that the monitor does not have are said', async () => {
    const { ports } = portsOf(() => "unknown command: 'i'");
    await expect(ports.batch([inOp(0xcfc, 4)])).rejects.toMatchObject({ code: 'monitor-answer', exit: 3 });
    await expect(ports.batch([outOp(0xcfc, 4, 1)])).rejects.toMatchObject({ code: 'monitor-answer' });
  });
});
