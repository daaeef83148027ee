/**
 * Finds which of many words occur in a text, in one pass over its bytes (Aho and Corasick, 1975). Words are ASCII and
 * hold no line feed, so that a line feed leads back to the start.
 */
export class WordAutomaton {
  /** Bytes that no word holds share class 0. */
  readonly classes = new Uint8Array(256);
  readonly width: number;
  /** The next state times `width`, by state times `width` plus class; where words end there, its bitwise complement. */
  readonly next: Int32Array;
  /** By state times `width`: 0, or one more than an index into {@link sets}. */
  readonly accepts: Uint16Array;
  /** Numbers of the words that end together. */
  readonly sets: readonly (readonly number[])[];

  constructor(words: readonly string[]) {
    let classes = 0;
    for (const word of words) {
      for (let i = 0; i < word.length; i++) {
        const code = word.charCodeAt(i);
        if (code > 127 || code === 10) throw new RangeError(`"${word}" is not ASCII`);
        if (this.classes[code] === 0) this.classes[code] = ++classes;
      }
    }
    this.width = classes + 1;
    const trie = this.#trie(words);
    const { fail, order } = failures(trie, this.width);
    const states = trie.length / this.width;
    this.next = new Int32Array(trie.length);
    const ends = endsOf(words, trie, this.classes, this.width, states);
    const sets: number[][] = [];
    this.accepts = new Uint16Array(trie.length);
    for (const state of order) {
      const back = fail[state] ?? 0;
      for (let at = 0; at < this.width; at++) {
        const to = trie[state * this.width + at] ?? 0;
        this.next[state * this.width + at] =
          to > 0 ? to * this.width : state === 0 ? 0 : (this.next[back * this.width + at] ?? 0);
      }
      const inherited = sets[(this.accepts[back * this.width] ?? 0) - 1] ?? [];
      const all = [...(ends[state] ?? []), ...(state === 0 ? [] : inherited)];
      if (all.length > 0) this.accepts[state * this.width] = sets.push(all);
    }
    for (let at = 0; at < this.next.length; at++) {
      const to = this.next[at] ?? 0;
      if ((this.accepts[to] ?? 0) > 0) this.next[at] = ~to;
    }
    this.sets = sets;
  }

  #trie(words: readonly string[]): number[] {
    const trie = new Array<number>(this.width).fill(0);
    for (const word of words) {
      let state = 0;
      for (let i = 0; i < word.length; i++) {
        const at = state * this.width + (this.classes[word.charCodeAt(i)] ?? 0);
        let to = trie[at] ?? 0;
        if (to === 0) {
          to = trie.length / this.width;
          for (let k = 0; k < this.width; k++) trie.push(0);
          trie[at] = to;
        }
        state = to;
      }
    }
    return trie;
  }
}

/** For each state the longest other prefix of a word that it ends with, and the states from short to long. */
function failures(trie: readonly number[], width: number): { fail: number[]; order: number[] } {
  const fail: number[] = [0];
  const order = [0];
  for (const state of order) {
    for (let at = 1; at < width; at++) {
      const to = trie[state * width + at] ?? 0;
      if (to === 0) continue;
      order.push(to);
      let back = fail[state] ?? 0;
      while (back > 0 && (trie[back * width + at] ?? 0) === 0) back = fail[back] ?? 0;
      const found = state === 0 ? 0 : (trie[back * width + at] ?? 0);
      fail[to] = found === to ? 0 : found;
    }
  }
  return { fail, order };
}

function endsOf(
  words: readonly string[],
  trie: readonly number[],
  classes: Uint8Array,
  width: number,
  states: number,
): number[][] {
  const ends: number[][] = Array.from({ length: states }, () => []);
  words.forEach((word, index) => {
    let state = 0;
    for (let i = 0; i < word.length; i++) state = trie[state * width + (classes[word.charCodeAt(i)] ?? 0)] ?? 0;
    ends[state]?.push(index);
  });
  return ends;
}
