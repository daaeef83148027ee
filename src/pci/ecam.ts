import { hex } from '../address/format.js';
import type { CpuAddress } from '../address/kinds.js';
import { deviceFunction, formatBdf } from './bdf.js';
import { allOnes, type ConfigAccess, type ConfigOp, type Width } from './config-access.js';

/** One access to guest physical memory, MMIO included. Values are unsigned, in the guest's little-endian order. */
export type MemoryOp =
  | { readonly kind: 'read'; readonly address: CpuAddress; readonly width: Width }
  | { readonly kind: 'write'; readonly address: CpuAddress; readonly width: Width; readonly value: number };

/** What config space can be reached through: a physical address space, as the CPU sees it. */
export interface AddressedMemory {
  readonly source: ConfigAccess['source'];
  /** In order, one number per op: what a read saw, 0 for a write. */
  batch(ops: readonly MemoryOp[]): Promise<number[]>;
}

/** Where a segment's config space lies: PCI Express Base 6.0 §7.2.2, 4 KiB a function, 1 MiB a bus. */
export interface EcamWindow {
  readonly segment: number;
  /** CPU address of `firstBus`'s function 00.0. */
  readonly base: CpuAddress;
  readonly firstBus: number;
  readonly lastBus: number;
}

/** Config space by ECAM over a machine's physical memory. What no window covers reads as all ones, and drops writes. */
export class EcamAccess implements ConfigAccess {
  readonly writable = true;

  constructor(
    private readonly memory: AddressedMemory,
    /** A function where they may move. */
    private readonly windows: readonly EcamWindow[] | (() => readonly EcamWindow[]),
  ) {}

  get source(): ConfigAccess['source'] {
    return this.memory.source;
  }

  async batch(ops: readonly ConfigOp[]): Promise<number[]> {
    const values = new Array<number>(ops.length);
    const sent: number[] = [];
    const memoryOps: MemoryOp[] = [];
    ops.forEach((op, i) => {
      const address = this.#address(op);
      if (address === undefined) {
        values[i] = op.kind === 'read' ? allOnes(op.width) : 0;
        return;
      }
      sent.push(i);
      memoryOps.push(
        op.kind === 'read'
          ? { kind: 'read', address, width: op.width }
          : { kind: 'write', address, width: op.width, value: op.value },
      );
    });
    const answers = memoryOps.length > 0 ? await this.memory.batch(memoryOps) : [];
    sent.forEach((i, n) => (values[i] = answers[n] ?? 0));
    return values;
  }

  #address({ at, register, width }: ConfigOp): CpuAddress | undefined {
    if (register < 0 || register + width > 0x1000 || register % width !== 0) {
      throw new RangeError(`${formatBdf(at)}: register ${hex(register)} cannot be accessed ${width} bytes wide`);
    }
    const windows = typeof this.windows === 'function' ? this.windows() : this.windows;
    const window = windows.find((one) => one.segment === at.segment && one.firstBus <= at.bus && at.bus <= one.lastBus);
    if (!window) return undefined;
    return window.base + BigInt(((at.bus - window.firstBus) << 20) | (deviceFunction(at) << 12) | register);
  }
}
