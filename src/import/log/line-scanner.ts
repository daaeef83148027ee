import type { WordAutomaton } from './word-automaton.js';

/** Bytes of a line that are kept; the rest of it is passed over. */
const LONGEST_LINE = 0x1_0000;
/** Words of one line that are counted: a line that has more says nothing. */
const MOST_WORDS = 256;
const LINE_FEED = 10;
const ESCAPE = 27;

/** A line where it was found. It holds good until the next one: what is to be kept of it has to be copied. */
export interface ScannedLine {
  readonly number: number;
  /** Numbers of the words in it; they may repeat. */
  readonly words: readonly number[];
  /** A control sequence may stand in the middle of a word. */
  readonly escapes: boolean;
  readonly bytes: Uint8Array;
  /** The line is `bytes` from `start` to before `end`, without its line feed. */
  readonly start: number;
  readonly end: number;
}

type Draft = { -readonly [K in keyof ScannedLine]: K extends 'words' ? number[] : ScannedLine[K] };

/** Cuts bytes into lines and says which words each of them holds, chunk by chunk, in memory that does not grow. */
export class LineScanner {
  readonly #automaton: WordAutomaton;
  readonly #take: (line: ScannedLine) => void;
  /** The start of a line that the last chunk did not end. */
  #carry: Uint8Array | undefined;
  #carried = 0;
  readonly #line: Draft = { number: 0, words: [], escapes: false, bytes: new Uint8Array(0), start: 0, end: 0 };

  constructor(automaton: WordAutomaton, take: (line: ScannedLine) => void) {
    this.#automaton = automaton;
    this.#take = take;
  }

  /** Lines that were taken. */
  get lines(): number {
    return this.#line.number;
  }

  /** Takes the lines that end in the chunk. Nothing refers to it afterwards. */
  push(chunk: Uint8Array): void {
    let start = 0;
    if (this.#carried > 0) {
      const end = chunk.indexOf(LINE_FEED);
      this.#keep(end < 0 ? chunk : chunk.subarray(0, end));
      if (end < 0) return;
      this.finish();
      start = end + 1;
    }
    const last = Math.max(start, chunk.lastIndexOf(LINE_FEED) + 1);
    if (last > start) this.#scan(chunk, start, last);
    if (last < chunk.length) this.#keep(chunk.subarray(last));
  }

  /** The last line, where it does not end in a line feed. */
  finish(): void {
    if (!this.#carry || this.#carried === 0) return;
    const length = this.#carried;
    this.#carried = 0;
    this.#carry[length] = LINE_FEED;
    this.#scan(this.#carry, 0, length + 1);
  }

  #keep(bytes: Uint8Array) {
    this.#carry ??= new Uint8Array(LONGEST_LINE + 1);
    const room = LONGEST_LINE - this.#carried;
    const kept = bytes.length > room ? bytes.subarray(0, room) : bytes;
    this.#carry.set(kept, this.#carried);
    this.#carried += kept.length;
  }

  /** Whole lines: the byte before `to` is a line feed. */
  #scan(bytes: Uint8Array, from: number, to: number) {
    const { classes, next } = this.#automaton;
    let escape = indexOf(bytes, ESCAPE, from);
    let state = 0;
    let start = from;
    this.#line.bytes = bytes;
    for (let i = from; i < to; i++) {
      const byte = bytes[i] as number;
      if (byte === LINE_FEED) {
        this.#end(start, i, escape < i);
        if (escape < i) escape = indexOf(bytes, ESCAPE, i);
        start = i + 1;
        state = 0;
        continue;
      }
      state = next[state + (classes[byte] as number)] as number;
      if (state < 0) {
        state = ~state;
        if (i - start < LONGEST_LINE) this.#found(state);
      }
    }
  }

  #found(state: number) {
    const { accepts, sets } = this.#automaton;
    const { words } = this.#line;
    if (words.length < MOST_WORDS) words.push(...(sets[(accepts[state] as number) - 1] ?? []));
  }

  #end(start: number, end: number, escapes: boolean) {
    const line = this.#line;
    line.number++;
    line.start = start;
    line.end = Math.min(end, start + LONGEST_LINE);
    line.escapes = escapes;
    this.#take(line);
    if (line.words.length > 0) line.words = [];
  }
}

function indexOf(bytes: Uint8Array, byte: number, from: number): number {
  const at = bytes.indexOf(byte, from);
  return at < 0 ? Infinity : at;
}
