import type { ConfigBytes } from '../pci/config-bytes.js';
import { configFromBytes } from './capture/config-text.js';

/** `010: 0c 00 …`, as `lspci -x` prints it, or `config 010: 0c 00 …`. A line that was cut has fewer bytes and is none. */
const row = /^(?:config )?([0-9a-f]{2,3}):((?: [0-9a-f]{2}){16})\s*$/;

/** Config space out of lines of a hex dump. */
export class HexDump {
  #bytes: Uint8Array | undefined;
  #known: Uint8Array | undefined;

  take(line: string): boolean {
    // `00: ` or `000: ` comes first.
    if (!line.startsWith('config ') && line[2] !== ':' && line[3] !== ':') return false;
    const match = row.exec(line);
    if (!match?.[1] || !match[2]) return false;
    const start = parseInt(match[1], 16);
    if (start % 16 !== 0) return false;
    const bytes = (this.#bytes ??= new Uint8Array(0x1000));
    const known = (this.#known ??= new Uint8Array(0x1000));
    for (let i = 0; i < 16; i++) bytes[start + i] = parseInt(match[2].slice(3 * i + 1, 3 * i + 3), 16);
    known.fill(1, start, start + 16);
    return true;
  }

  /** What was dumped; undefined where no line was one. */
  config(): ConfigBytes | undefined {
    return this.#bytes && this.#known && configFromBytes(this.#bytes, this.#known);
  }
}
