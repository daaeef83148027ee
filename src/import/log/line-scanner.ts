import { WordAutomaton } from './word-automaton.js';

/** Bytes of a line that are kept; the rest of it is passed over. */
const LONGEST_LINE = 0x1_0000;
/** Words of one line that are counted: a line that has more says nothing. */
const MOST_WORDS = 256;
const LINE_FEED = 10;

/** What is called for each line; `words` are numbers of the words in it, and may repeat. */
export type TakeLine = (number: number, words: readonly number[], bytes: Uint8Array) => void;

/** Cuts bytes into lines and says which words each of them holds, chunk by chunk, in memory that does not grow. */
export class LineScanner {
  readonly #automaton: WordAutomaton;
  readonly #take: TakeLine;
  /** The start of a line that the last chunk did not end. */
  #carry: Uint8Array = new Uint8Array(0);
  #state = 0;
  #words: number[] = [];
  #lines = 0;

  constructor(words: readonly string[], take: TakeLine) {
    this.#automaton = new WordAutomaton(words);
    this.#take = take;
  }

  /** Lines that were taken. */
  get lines(): number {
    return this.#lines;
  }

  push(chunk: Uint8Array): void {
    const { classes, next, accepts, sets } = this.#automaton;
    let words = this.#words;
    let state = this.#state;
    let start = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i] as number;
      if (byte === LINE_FEED) {
        this.#end(chunk, start, i, words);
        if (words.length > 0) words = [];
        start = i + 1;
        state = 0;
        continue;
      }
      state = next[state + (classes[byte] as number)] as number;
      if (state < 0) {
        state = ~state;
        if (words.length < MOST_WORDS) words.push(...(sets[(accepts[state] as number) - 1] ?? []));
      }
    }
    this.#words = words;
    this.#state = state;
    if (start < chunk.length) this.#carry = joined(this.#carry, chunk.subarray(start));
  }

  /** The last line, where it does not end in a line feed. */
  finish(): void {
    if (this.#carry.length > 0) this.#end(this.#carry.subarray(0, 0), 0, 0, this.#words);
  }

  #end(chunk: Uint8Array, start: number, end: number, words: readonly number[]) {
    const rest = chunk.subarray(start, Math.min(end, start + LONGEST_LINE));
    const bytes = this.#carry.length > 0 ? joined(this.#carry, rest) : rest;
    if (this.#carry.length > 0) this.#carry = new Uint8Array(0);
    this.#take(++this.#lines, words, bytes);
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(Math.min(LONGEST_LINE, a.length + b.length));
  all.set(a);
  all.set(b.subarray(0, all.length - a.length), a.length);
  return all;
}
