import type { CpuAddress } from '../../address/kinds.js';
import { readOp, type ConfigAccess, type ConfigOp } from '../../pci/config-access.js';
import type { Transport } from '../physical-memory.js';

/**
 * Remembers what stood where something is written, to put it back: what is done to a machine of somebody else's is either
 * all there or not at all. Every write to a config register has a read before it, and is undone by itself: which function has
 * which address depends on the bus numbers written before.
 */
export class UndoLog {
  readonly #undo: (() => Promise<unknown>)[] = [];
  #watching = true;
  #cancelled: Error | undefined;

  /** Config space whose writes can be undone. */
  access(access: ConfigAccess): ConfigAccess {
    return {
      source: access.source,
      writable: access.writable,
      batch: async (ops) => {
        this.#check();
        if (!this.#watching) return access.batch(ops);
        const sent: ConfigOp[] = [];
        /** Where in `sent` the own operations are, and the reads before them. */
        const own: number[] = [];
        const before = new Map<number, ConfigOp & { kind: 'write' }>();
        for (const op of ops) {
          if (op.kind === 'write') {
            before.set(sent.length, op);
            sent.push(readOp(op.at, op.register, op.width));
          }
          own.push(sent.length);
          sent.push(op);
        }
        const values = await access.batch(sent);
        const restore = [...before].map(([at, op]) => ({ ...op, value: values[at] ?? 0 }));
        if (restore.length > 0) this.#undo.push(() => access.batch(restore.toReversed()));
        return own.map((at) => values[at] ?? 0);
      },
    };
  }

  /** Memory in which what is written byte by byte can be undone. */
  memory(memory: Transport): Transport {
    return {
      source: memory.source,
      ...(memory.ports ? { ports: memory.ports } : {}),
      closed: memory.closed,
      negotiate: () => memory.negotiate(),
      handOver: () => memory.handOver(),
      close: () => memory.close(),
      batch: (ops) => memory.batch(ops),
      readBytes: (address, size) => memory.readBytes(address, size),
      writeBytes: async (address: CpuAddress, bytes) => {
        this.#check();
        if (this.#watching) {
          const before = await memory.readBytes(address, bytes.length);
          this.#undo.push(() => memory.writeBytes(address, before));
        }
        await memory.writeBytes(address, bytes);
      },
    };
  }

  /** From now on every write fails with `reason`, but for those that undo. */
  cancel(reason: Error): void {
    this.#cancelled ??= reason;
  }

  /** What is written stays, and nothing more is remembered. */
  keep(): void {
    this.#watching = false;
    this.#undo.length = 0;
  }

  /** Puts everything back, the last first. Rejects where the machine cannot be reached any more. */
  async undo(): Promise<void> {
    this.#watching = false;
    for (const step of this.#undo.splice(0).reverse()) await step();
  }

  #check(): void {
    if (this.#cancelled) throw this.#cancelled;
  }
}
