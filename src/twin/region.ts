/** What lies behind a BAR or a ROM. Whoever calls has checked that `offset` and the bytes after it lie inside. */
export interface Region {
  /** Bytes. */
  readonly size: bigint;
  /** Fills `into` with what lies at `offset`. */
  read(offset: bigint, into: Buffer): void;
  write(offset: bigint, data: Buffer): void;
  /** Back to what it was before anything was written. */
  reset(): void;
}

/**
 * What a region does. `memory`: it keeps what is written, and reads zero before. `constant`: every aligned 4 bytes read as
 * `value`, every 8 where it has more than 32 bits. `echo`: every aligned 8 bytes read as their own offset, which shows where
 * an access has arrived. `recorded`: memory that is not zero at first. Writes to `constant` and `echo` are ignored.
 */
export type Rule =
  | { readonly kind: 'memory' }
  | { readonly kind: 'constant'; readonly value: bigint }
  | { readonly kind: 'echo' }
  | { readonly kind: 'recorded'; readonly recording: Recording };

/** Fills `into` with what was recorded at `offset`, zeros where nothing was. */
export type Recording = (offset: bigint, into: Buffer) => void;

/** Pages that are kept of all regions of one budget. */
export class PageBudget {
  #left: number;
  #refused = false;

  /**
   * @param bytes that may be kept
   * @param onSpent called once, when a write is the first to be dropped
   */
  constructor(
    bytes: number,
    private readonly onSpent: () => void = () => undefined,
  ) {
    this.#left = Math.floor(bytes / PAGE);
  }

  take(): boolean {
    if (this.#left > 0) {
      this.#left--;
      return true;
    }
    if (!this.#refused) this.onSpent();
    this.#refused = true;
    return false;
  }

  give(pages: number): void {
    this.#left += pages;
  }
}

const PAGE = 4096;

/** Memory that costs nothing until something other than what lies there is written: pages over a background. */
class PagedRegion implements Region {
  readonly #pages = new Map<bigint, Buffer>();

  constructor(
    readonly size: bigint,
    private readonly budget: PageBudget,
    private readonly background: Recording,
  ) {}

  read(offset: bigint, into: Buffer): void {
    for (const { page, from, at, count } of pagesOf(offset, into.length)) {
      const kept = this.#pages.get(page);
      const piece = into.subarray(at, at + count);
      if (kept) kept.copy(piece, 0, from, from + count);
      else this.background(page * BigInt(PAGE) + BigInt(from), piece);
    }
  }

  write(offset: bigint, data: Buffer): void {
    for (const { page, from, at, count } of pagesOf(offset, data.length)) {
      const kept = this.#pages.get(page) ?? this.#begin(page, from, data.subarray(at, at + count));
      if (kept) data.copy(kept, from, at, at + count);
    }
  }

  reset(): void {
    this.budget.give(this.#pages.size);
    this.#pages.clear();
  }

  /** A page for a write that changes something, as far as the budget goes: beyond it writes are lost. */
  #begin(page: bigint, from: number, data: Buffer): Buffer | undefined {
    const before = Buffer.alloc(PAGE);
    this.background(page * BigInt(PAGE), before);
    if (before.compare(data, 0, data.length, from, from + data.length) === 0 || !this.budget.take()) return undefined;
    this.#pages.set(page, before);
    return before;
  }
}

function* pagesOf(offset: bigint, length: number) {
  let page = offset / BigInt(PAGE);
  let from = Number(offset % BigInt(PAGE));
  for (let at = 0; at < length; page++, from = 0) {
    const count = Math.min(PAGE - from, length - at);
    yield { page, from, at, count };
    at += count;
  }
}

/** Every aligned 8 bytes read as what `valueAt` says of their offset; writes are ignored. */
class ComputedRegion implements Region {
  constructor(
    readonly size: bigint,
    private readonly valueAt: (offset: bigint) => bigint,
  ) {}

  read(offset: bigint, into: Buffer): void {
    const cell = Buffer.alloc(8);
    for (let at = 0; at < into.length;) {
      const from = Number((offset + BigInt(at)) & 7n);
      cell.writeBigUInt64LE(this.valueAt(offset + BigInt(at - from)));
      at += cell.copy(into, at, from);
    }
  }

  write(): void {
    // A register that cannot be written.
  }

  reset(): void {
    // It holds nothing.
  }
}

const zeros: Recording = (_offset, into) => void into.fill(0);

export function makeRegion(size: bigint, rule: Rule, budget: PageBudget): Region {
  switch (rule.kind) {
    case 'memory':
      return new PagedRegion(size, budget, zeros);
    case 'recorded':
      return new PagedRegion(size, budget, rule.recording);
    case 'constant': {
      const value = rule.value >> 32n ? BigInt.asUintN(64, rule.value) : rule.value | (rule.value << 32n);
      return new ComputedRegion(size, () => value);
    }
    case 'echo':
      return new ComputedRegion(size, (offset) => offset);
    default:
      return rule satisfies never;
  }
}
