/** Instructions as they are made, with references to what comes later. */
export class Assembler {
  readonly #bytes: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #references: { readonly at: number; readonly label: string; readonly patch: Patch }[] = [];
  #fresh = 0;

  bytes(...values: readonly number[]): void {
    this.#bytes.push(...values.map((one) => one & 0xff));
  }

  /** 32 bits, little-endian: one instruction of the RISC machines. */
  word(value: number): void {
    this.bytes(value, value >>> 8, value >>> 16, value >>> 24);
  }

  /** `size` bytes here, made once it is known how far away `label` is from the first of them. */
  reference(label: string, size: number, patch: Patch): void {
    this.#references.push({ at: this.#bytes.length, label, patch });
    this.bytes(...new Array<number>(size).fill(0));
  }

  /** `label` is here. */
  place(label: string): void {
    if (this.#labels.has(label)) throw new Error(`${label} is placed twice`);
    this.#labels.set(label, this.#bytes.length);
  }

  /** A label that nobody else has. */
  label(): string {
    return `.${this.#fresh++}`;
  }

  /**
   * The finished code.
   * @param elsewhere where labels are that are not in the code, from its beginning
   */
  finish(elsewhere: ReadonlyMap<string, number>): {
    readonly code: Uint8Array;
    readonly labels: ReadonlyMap<string, number>;
  } {
    const code = Uint8Array.from(this.#bytes);
    for (const { at, label, patch } of this.#references) {
      const to = this.#labels.get(label) ?? elsewhere.get(label);
      if (to === undefined) throw new Error(`${label} is nowhere`);
      const made = patch(to - at);
      made.forEach((byte, i) => (code[at + i] = byte & 0xff));
    }
    return { code, labels: this.#labels };
  }
}

/** The bytes of a reference that leads so many bytes on. Throws where it leads too far. */
export type Patch = (distance: number) => readonly number[];

/** A value that has to fit into `bits` bits, signed, in its two's complement. */
export function signed(value: number, bits: number, what: string): number {
  if (!Number.isInteger(value) || value < -(2 ** (bits - 1)) || value >= 2 ** (bits - 1)) {
    throw new RangeError(`${what} ${value} does not fit into ${bits} bits`);
  }
  return bits === 32 ? value >>> 0 : value & (2 ** bits - 1);
}

/** The bytes of 32-bit words. */
export const wordBytes = (...words: readonly number[]): number[] =>
  words.flatMap((word) => [word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, word >>> 24]);
