import { Exit, Problem } from '../../problem/problem.js';
import type { Qmp } from '../qmp.js';

/**
 * x86 I/O ports by the commands `o` and `i` of QEMU's human monitor: they need no transport but QMP, and what goes by them
 * is little. Only for the few accesses that cannot be had over physical memory.
 */
export class IoPorts {
  constructor(private readonly qmp: Qmp) {}

  /** Writes 32 bits. Throws Problem `qmp-…`, exit 3. */
  async write32(port: number, value: number): Promise<void> {
    const said = await this.qmp.monitor(`o/w 0x${port.toString(16)} 0x${(value >>> 0).toString(16)}`);
    if (said.trim() !== '') throw refused('o', said);
  }

  /** Reads 32 bits. Throws Problem `qmp-…` or `monitor-answer`, exit 3. */
  async read32(port: number): Promise<number> {
    const said = await this.qmp.monitor(`i/w 0x${port.toString(16)}`);
    const value = /= 0x([0-9a-f]{1,8})\s*$/.exec(said)?.[1];
    if (value === undefined) throw refused('i', said);
    return parseInt(value, 16);
  }
}

const refused = (command: string, said: string) =>
  new Problem('monitor-answer', `QEMU's monitor answered ${command} with: ${said.trim().slice(0, 200)}`, {
    exit: Exit.outside,
    hint: 'pinbar needs I/O ports to reach config space on this board',
  });
