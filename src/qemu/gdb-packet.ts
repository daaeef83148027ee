/**
 * Packets of the GDB remote serial protocol, https://sourceware.org/gdb/current/onlinedocs/gdb.html/Overview.html:
 * `$`, the text, `#`, the sum of the text's bytes as two hexadecimal digits. Text is latin-1: a character is a byte.
 */
import { Exit, Problem } from '../problem/problem.js';

/** What can arrive: a packet, a notification (`%`), or whether the far end took the last packet. */
export type GdbMessage =
  | { readonly kind: 'packet' | 'notification'; readonly text: string }
  | { readonly kind: 'ack' }
  | { readonly kind: 'nack' };

/** Characters of a packet, and what it says once runs are written out. Stubs take and send a few KiB. */
export const MAX_PACKET = 64 * 1024;

const ESCAPE = '}';
const RUN = '*';
/** A run's count is a printable character from here on: this one is none at all. */
const RUN_BASE = 29;

/** A packet around `text`, in which `#`, `$`, `}` and `*` are escaped. */
export function encodePacket(text: string): string {
  const escaped = text.replace(/[#$}*]/g, (one) => ESCAPE + String.fromCharCode(one.charCodeAt(0) ^ 0x20));
  return `$${escaped}#${checksum(escaped)}`;
}

/** Cuts a byte stream into messages. */
export class GdbDecoder {
  /** What has come of a packet so far, from its `$` or `%` on; empty between packets. */
  #text = '';

  constructor(private readonly onMessage: (message: GdbMessage) => void) {}

  /** @throws Problem `gdb-syntax`, exit 3: a wrong checksum, bytes outside of packets, a packet without an end */
  push(chunk: Buffer): void {
    let text = this.#text + chunk.toString('latin1');
    while (text !== '') {
      const [first] = text;
      if (first === '+' || first === '-') {
        this.onMessage({ kind: first === '+' ? 'ack' : 'nack' });
        text = text.slice(1);
        continue;
      }
      if (first !== '$' && first !== '%') throw syntax(`these bytes are no packet: ${printable(text)}`);
      const end = text.indexOf('#');
      if ((end < 0 ? text.length : end) > MAX_PACKET) throw syntax(`a packet of more than ${MAX_PACKET} bytes`);
      if (end < 0 || text.length < end + 3) break;
      const body = text.slice(1, end);
      const sum = text.slice(end + 1, end + 3);
      if (sum.toLowerCase() !== checksum(body)) {
        throw syntax(
          `the checksum of ${printable(text.slice(0, end))} is ${checksum(body)}, and it says ${printable(sum)}`,
        );
      }
      this.onMessage({ kind: first === '$' ? 'packet' : 'notification', text: expand(body) });
      text = text.slice(end + 3);
    }
    this.#text = text;
  }
}

/** The text with escapes undone and runs written out: `0* ` is `0000`. */
function expand(body: string): string {
  if (!/[}*]/.test(body)) return body;
  let text = '';
  for (let i = 0; i < body.length; i++) {
    const one = body[i] ?? '';
    if (one === ESCAPE) {
      if (++i === body.length) throw syntax('a packet ends within an escape');
      text += String.fromCharCode(body.charCodeAt(i) ^ 0x20);
    } else if (one === RUN) {
      const count = body.charCodeAt(++i) - RUN_BASE;
      const last = text.at(-1);
      if (last === undefined || !(count >= 3 && count <= 126 - RUN_BASE)) {
        throw syntax(`a packet with a run of nothing: ${printable(body)}`);
      }
      text += last.repeat(count);
    } else text += one;
    if (text.length > MAX_PACKET) throw syntax(`a packet of more than ${MAX_PACKET} bytes`);
  }
  return text;
}

function checksum(body: string): string {
  let sum = 0;
  for (let i = 0; i < body.length; i++) sum = (sum + body.charCodeAt(i)) & 0xff;
  return sum.toString(16).padStart(2, '0');
}

const printable = (text: string) => text.slice(0, 40).replace(/[^ -~]/g, '.');

const syntax = (what: string) => new Problem('gdb-syntax', what, { exit: Exit.outside });
