import { hex } from '../address/format.js';
import { deviceFunction, formatBdf } from '../pci/bdf.js';
import { allOnes, type ConfigAccess, type ConfigOp } from '../pci/config-access.js';
import { inOp, outOp, type IoPorts, type PortOp } from './io-ports.js';

/** PCI Local Bus 3.0 §3.2.2.3.2, configuration mechanism #1. */
const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
const ENABLE = 0x8000_0000;

/**
 * Config space by ports 0xcf8 and 0xcfc: 256 bytes a function, segment 0. What lies past them reads as all ones. A guest that
 * was stopped between its accesses to the two ports finds them as it left them.
 */
export class PortConfigAccess implements ConfigAccess {
  readonly writable = true;

  constructor(
    private readonly ports: IoPorts,
    readonly source: ConfigAccess['source'],
  ) {}

  async batch(ops: readonly ConfigOp[]): Promise<number[]> {
    const sent: PortOp[] = [];
    /** Of each op, where its own access is among those sent. */
    const at = ops.map((op) => {
      const { register, width } = op;
      if (register < 0 || register + width > 0x1000 || register % width !== 0) {
        throw new RangeError(`${formatBdf(op.at)}: register ${hex(register)} cannot be accessed ${width} bytes wide`);
      }
      if (op.at.segment !== 0 || register >= 0x100) return undefined;
      const port = CONFIG_DATA + (register & 3);
      sent.push(outOp(CONFIG_ADDRESS, 4, ENABLE | (op.at.bus << 16) | (deviceFunction(op.at) << 8) | (register & ~3)));
      sent.push(op.kind === 'read' ? inOp(port, width) : outOp(port, width, op.value));
      return sent.length - 1;
    });
    if (sent.length === 0) return ops.map((op) => (op.kind === 'read' ? allOnes(op.width) : 0));
    const [before = 0] = await this.ports.batch([inOp(CONFIG_ADDRESS, 4)]);
    const answers = await this.ports.batch([...sent, outOp(CONFIG_ADDRESS, 4, before)]);
    return ops.map((op, i) => {
      const found = at[i];
      if (found !== undefined) return answers[found] ?? 0;
      return op.kind === 'read' ? allOnes(op.width) : 0;
    });
  }
}
