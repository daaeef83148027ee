/** Thrown where a register is asked for that was not read, or that lies outside what there is to read. */
export class UnreadRegister extends Error {
  constructor(readonly register: number) {
    super(`register 0x${register.toString(16)} was not read`);
    this.name = 'UnreadRegister';
  }
}

const STANDARD = 0x100;
const EXTENDED = 0x1000;

/**
 * What is known of one function's config space: up to 4096 bytes, little-endian, and which dwords of it were read. Every
 * decoder works on this, whether it came from a machine or from a dump of 64, 256 or 4096 bytes.
 */
export class ConfigBytes {
  #bytes = new Uint8Array(STANDARD);
  #known = new Uint8Array(STANDARD / 4);

  /** The first bytes of config space, as a dump has them; whole dwords count. */
  static of(dump: Uint8Array): ConfigBytes {
    const bytes = new ConfigBytes();
    const whole = Math.min(dump.length, EXTENDED) & ~3;
    if (whole > STANDARD) bytes.#extend();
    bytes.#bytes.set(dump.subarray(0, whole));
    bytes.#known.fill(1, 0, whole / 4);
    return bytes;
  }

  /** What was read, in pieces that follow each other without a gap, ascending. */
  runs(): { readonly start: number; readonly bytes: Uint8Array }[] {
    const runs: { start: number; bytes: Uint8Array }[] = [];
    for (let at = this.#known.indexOf(1); at >= 0;) {
      const gap = this.#known.indexOf(0, at);
      const end = gap < 0 ? this.#known.length : gap;
      runs.push({ start: 4 * at, bytes: this.#bytes.subarray(4 * at, 4 * end) });
      at = gap < 0 ? -1 : this.#known.indexOf(1, gap);
    }
    return runs;
  }

  /** Puts down what the dword at `register` (a multiple of 4) read. */
  set(register: number, value: number): void {
    if (register < 0 || register >= EXTENDED || register % 4 !== 0) throw new UnreadRegister(register);
    if (register >= this.#bytes.length) this.#extend();
    new DataView(this.#bytes.buffer).setUint32(register, value, true);
    this.#known[register / 4] = 1;
  }

  has(register: number): boolean {
    return this.#known[register >> 2] === 1;
  }

  /** @throws UnreadRegister */
  u8(register: number): number {
    return this.#view(register, 1).getUint8(register);
  }

  /** @throws UnreadRegister */
  u16(register: number): number {
    return this.#view(register, 2).getUint16(register, true);
  }

  /** @throws UnreadRegister */
  u32(register: number): number {
    return this.#view(register, 4).getUint32(register, true);
  }

  /** The register of a layout. @throws UnreadRegister */
  field(field: { readonly offset: number; readonly width: number }): number {
    switch (field.width) {
      case 1:
        return this.u8(field.offset);
      case 2:
        return this.u16(field.offset);
      case 4:
        return this.u32(field.offset);
      default: {
        let value = 0;
        for (let i = field.width - 1; i >= 0; i--) value = value * 0x100 + this.u8(field.offset + i);
        return value;
      }
    }
  }

  /** Makes room for extended config space. */
  #extend(): void {
    const bytes = new Uint8Array(EXTENDED);
    const known = new Uint8Array(EXTENDED / 4);
    bytes.set(this.#bytes);
    known.set(this.#known);
    this.#bytes = bytes;
    this.#known = known;
  }

  #view(register: number, width: number): DataView {
    if (register < 0 || !this.has(register) || !this.has(register + width - 1)) throw new UnreadRegister(register);
    return new DataView(this.#bytes.buffer);
  }
}
