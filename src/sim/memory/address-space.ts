import type { AddressRange } from '../../address/range.js';
import { dataAbort, type AbortStyle, type MemoryAccess, type MemoryResult } from './access.js';

/** What a region says to a read or write, and who says it (a device, a server); `value` is 0 for a write. */
export interface Answer {
  readonly value: bigint;
  readonly by: string;
}

/** Somebody at a range of CPU addresses. */
export interface MemoryRegion {
  readonly name: string;
  readonly range: AddressRange;
  /** Higher is asked first; of equals the one that was added last, as in QEMU's memory API. */
  readonly priority: number;
  /**
   * Answers an access all of whose bytes lie in the range. `null`, at once or later: the region has nothing there now, and what
   * lies below it is asked.
   */
  answer(access: MemoryAccess): Answer | null | Promise<Answer | null>;
}

/** Where regions usually are. Any finite number is a priority; what is said of these holds for them alone. */
export const priority = {
  device: 0,
  /** IOREQ servers are asked when nothing of the machine's own answers: xen/arch/arm/io.c, try_handle_mmio. */
  ioreq: -1,
} as const;

/**
 * The physical address space of a simulated Arm machine: regions that may overlap, and come and go while it is in use.
 *
 * An access goes to the first region, by priority, that holds all of its bytes and has something there; without one the CPU
 * takes an external abort. Regions are chosen when the access is made: one that is added while an access waits for its answer
 * has no part in it. Background regions lie below all others.
 */
export class AddressSpace {
  #regions: readonly MemoryRegion[] = [];
  #background: readonly MemoryRegion[] = [];
  /** All of them in the order in which they are asked: a new list at each change, so that accesses under way keep theirs. */
  #asked: readonly MemoryRegion[] = [];

  constructor(private readonly aborts: AbortStyle = 'arm') {}

  /**
   * Adds a region, from the next access on. Returns what takes it away again.
   * @throws RangeError for a priority that is no finite number
   */
  add(region: MemoryRegion): () => void {
    if (!Number.isFinite(region.priority)) throw new RangeError(`${region.name} has no finite priority`);
    const above = this.#regions.findIndex((other) => other.priority <= region.priority);
    this.#change(this.#regions.toSpliced(above < 0 ? this.#regions.length : above, 0, region), this.#background);
    return () => this.#change(this.#without(this.#regions, region), this.#background);
  }

  /**
   * Adds a background region: reads give the low bytes of `value` (up to 64 bits), writes are ignored. Of several at an address
   * the last one counts. Returns what takes it away again.
   */
  addBackground(range: AddressRange, value: bigint): () => void {
    const region: MemoryRegion = {
      name: `background ${range.toString()}`,
      range,
      priority: -Infinity,
      answer: ({ kind }) => ({ value: kind === 'read' ? value : 0n, by: region.name }),
    };
    this.#change(this.#regions, [region, ...this.#background]);
    return () => this.#change(this.#regions, this.#without(this.#background, region));
  }

  /** Carries out one access, and resolves when it is answered. Never rejects because of what lies at the address. */
  async access(access: MemoryAccess): Promise<MemoryResult> {
    const { kind, address, width } = access;
    if (address % BigInt(width) !== 0n) return { status: 'abort', abort: dataAbort('alignment', access, this.aborts) };
    const last = address + BigInt(width - 1);
    for (const region of this.#asked) {
      if (region.range.base > address || region.range.limit < last) continue;
      const said = region.answer(access);
      const answer = said instanceof Promise ? await said : said;
      if (!answer) continue;
      // As much as was asked for and no more, whatever a region says: xen/arch/arm/ioreq.c, handle_ioserv.
      return { status: 'done', value: kind === 'read' ? BigInt.asUintN(8 * width, answer.value) : 0n, by: answer.by };
    }
    return { status: 'abort', abort: dataAbort('external', access, this.aborts) };
  }

  #without(regions: readonly MemoryRegion[], region: MemoryRegion): MemoryRegion[] {
    return regions.filter((other) => other !== region);
  }

  #change(regions: readonly MemoryRegion[], background: readonly MemoryRegion[]): void {
    this.#regions = regions;
    this.#background = background;
    this.#asked = [...regions, ...background];
  }
}
