import { Exit, Problem } from '../../problem/problem.js';
import type { IoPorts, PortOp } from '../io-ports.js';
import type { Qmp } from '../qmp.js';

/** Sizes as the monitor writes them, those of gdb (docs, "QEMU Monitor", `x`). */
const letter = { 1: 'b', 2: 'h', 4: 'w' } as const;

/** I/O ports by the commands `i` and `o` of QEMU's human monitor: for a transport that has none. */
export class MonitorPorts implements IoPorts {
  constructor(private readonly qmp: Qmp) {}

  batch(ops: readonly PortOp[]): Promise<number[]> {
    // One connection: QEMU carries them out in order.
    return Promise.all(ops.map((op) => this.#one(op)));
  }

  async #one(op: PortOp): Promise<number> {
    const port = `0x${op.port.toString(16)}`;
    if (op.kind === 'out') {
      const said = await this.qmp.monitor(`o/${letter[op.width]} ${port} 0x${op.value.toString(16)}`);
      if (said.trim() !== '') throw refused(said);
      return 0;
    }
    const said = await this.qmp.monitor(`i/${letter[op.width]} ${port}`);
    const value = /= 0x([0-9a-f]{1,8})\s*$/.exec(said)?.[1];
    if (value === undefined) throw refused(said);
    return parseInt(value, 16);
  }
}

const refused = (said: string) =>
  new Problem('monitor-answer', `QEMU's monitor answered an access to a port with: ${said.trim().slice(0, 200)}`, {
    exit: Exit.outside,
    hint: 'pinbar needs I/O ports to reach config space on this board',
  });
