import type { Width } from '../pci/config-access.js';

/**
 * The config space of one function as hardware has it: every bit is hardwired, writable, or cleared by writing 1. Nothing
 * knows what a BAR is: sizing works because the bits below a BAR's size are hardwired.
 */
export class RegisterFile {
  readonly #powerOn: Uint8Array;
  readonly #now: Uint8Array;
  readonly #writable: Uint8Array;
  readonly #clearable: Uint8Array;

  /** @param size bytes: 256 for a conventional function, 4096 with extended space */
  constructor(readonly size: 256 | 4096) {
    this.#powerOn = new Uint8Array(size);
    this.#now = new Uint8Array(size);
    this.#writable = new Uint8Array(size);
    this.#clearable = new Uint8Array(size);
  }

  /** Lays down a register: its value after reset, the bits that can be written, the bits that a 1 clears. */
  define(register: number, width: number, value: number, writable = 0, clearable = 0): this {
    for (let i = 0; i < width; i++) {
      const shift = (bits: number) => Math.floor(bits / 2 ** (8 * i)) & 0xff;
      this.#powerOn[register + i] = this.#now[register + i] = shift(value);
      this.#writable[register + i] = shift(writable);
      this.#clearable[register + i] = shift(clearable);
    }
    return this;
  }

  /** Device-side change of a register, as an event inside the device makes it; read-only bits included. */
  force(register: number, width: number, value: number): void {
    for (let i = 0; i < width; i++) this.#now[register + i] = Math.floor(value / 2 ** (8 * i)) & 0xff;
  }

  /** Past the end of config space reads zero, as extended space does in a function that has none. */
  read(register: number, width: Width): number {
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 0x100 + (this.#now[register + i] ?? 0);
    return value;
  }

  write(register: number, width: Width, value: number): void {
    for (let i = 0; i < width && register + i < this.size; i++) {
      const at = register + i;
      const byte = Math.floor(value / 2 ** (8 * i)) & 0xff;
      const writable = this.#writable[at] ?? 0;
      const now = this.#now[at] ?? 0;
      this.#now[at] = ((now & ~writable) | (byte & writable)) & ~(byte & (this.#clearable[at] ?? 0));
    }
  }

  /** Back to the state after power-on. */
  reset(): void {
    this.#now.set(this.#powerOn);
  }
}
