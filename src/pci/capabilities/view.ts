import { UnreadRegister, type ConfigBytes } from '../config-bytes.js';

/** One capability in config space. Offsets count from the capability's first byte. */
export class CapView {
  constructor(
    private readonly config: ConfigBytes,
    readonly at: number,
    readonly id: number,
    /** 0 in a standard capability. */
    readonly version: number,
    /** The header layout of the function: some capabilities differ between devices (0) and bridges (1). */
    readonly headerType: number,
    /** One past the last byte that a capability may take: 0x100 or 0x1000. */
    private readonly end: number,
  ) {}

  /** @throws UnreadRegister, as all of these, where the capability runs past what was read or past its area */
  u8(offset: number): number {
    return this.config.u8(this.#inside(offset, 1));
  }

  u16(offset: number): number {
    return this.config.u16(this.#inside(offset, 2));
  }

  u32(offset: number): number {
    return this.config.u32(this.#inside(offset, 4));
  }

  #inside(offset: number, width: number): number {
    const register = this.at + offset;
    if (register + width > this.end) throw new UnreadRegister(register);
    return register;
  }
}

/** How one capability is decoded into data. */
export interface CapDecoder {
  readonly id: number;
  readonly name: string;
  /** Document, revision and section. */
  readonly spec: string;
  /** Bytes that `decode` may look at, header included. */
  readonly size: number;
  readonly decode: (cap: CapView) => unknown;
}
