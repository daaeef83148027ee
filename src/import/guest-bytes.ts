import { GuestTextReader } from './guest-text.js';
import { LineScanner, type ScannedLine } from './log/line-scanner.js';
import { WordAutomaton } from './log/word-automaton.js';
import type { Observation } from './observation.js';

/**
 * Reads a text that may hold several listings and logs, from its bytes, in memory that does not grow with it. Of a log of hundreds of
 * megabytes nearly all lines are passed over without being decoded.
 */
export class GuestBytesReader {
  readonly #reader: GuestTextReader;
  readonly #scanner: LineScanner;
  readonly #decoder = new TextDecoder();
  #idle = true;

  constructor(file: string) {
    this.#reader = new GuestTextReader(file);
    this.#scanner = new LineScanner(new WordAutomaton(this.#reader.openers), (line) => this.#line(line));
  }

  /** More of the file: any piece of it. Nothing refers to it afterwards. */
  push(chunk: Uint8Array): void {
    this.#scanner.push(chunk);
  }

  /** Everything that was found, in the order of boots, then of kinds. */
  finish(): Observation[] {
    this.#scanner.finish();
    return this.#reader.finish();
  }

  #line({ words, escapes, bytes, start, end }: ScannedLine) {
    if (this.#idle && words.length === 0 && !escapes) {
      this.#reader.skip();
      return;
    }
    this.#reader.push(this.#decoder.decode(bytes.subarray(start, end)));
    this.#idle = this.#reader.idle;
  }
}
