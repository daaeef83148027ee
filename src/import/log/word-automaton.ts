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
    const width = classes + 1;
    this.width = width;
    const most = 1 + words.reduce((sum, { length }) => sum + length, 0);
    const next = new Int32Array(most * width);
    const trie = growTrie(words, this.classes, next, width);
    this.next = next.subarray(0, trie.length * width);
    this.accepts = new Uint16Array(trie.length * width);
    this.sets = this.#link(trie);
  }

  /**
   * From short to long: where a state does not go on, it does what the longest other prefix of a word does that it ends with.
   * Words that end there end here too.
   */
  #link(trie: readonly TrieState[]): number[][] {
    const { next, accepts, width } = this;
    const sets: number[][] = [];
    const order = [0];
    const back = new Int32Array(trie.length);
    for (const state of order) {
      const row = state * width;
      if (state > 0) next.copyWithin(row, at(state), at(state) + width);
      for (const [byte, child] of trie[state]?.children ?? []) {
        order.push(child);
        // What stands in the row now is where the shorter prefix would go.
        const shorter = next[row + byte] ?? 0;
        back[child] = state === 0 ? 0 : (shorter < 0 ? ~shorter : shorter) / width;
        const all = [...(trie[child]?.words ?? []), ...(sets[(accepts[at(child)] ?? 0) - 1] ?? [])];
        if (all.length > 0) accepts[child * width] = sets.push(all);
        next[row + byte] = all.length > 0 ? ~(child * width) : child * width;
      }
    }
    return sets;

    function at(state: number): number {
      return (back[state] ?? 0) * width;
    }
  }
}

interface TrieState {
  readonly children: (readonly [byte: number, state: number])[];
  /** Numbers of the words that end here. */
  readonly words: number[];
}

/** The prefixes of all words, each a state. `next`, which is empty, is used to find them, and emptied. */
function growTrie(words: readonly string[], classes: Uint8Array, next: Int32Array, width: number): TrieState[] {
  const trie: TrieState[] = [{ children: [], words: [] }];
  words.forEach((word, index) => {
    let state = 0;
    for (let i = 0; i < word.length; i++) {
      const byte = classes[word.charCodeAt(i)] ?? 0;
      let to = next[state * width + byte] ?? 0;
      if (to === 0) {
        to = trie.push({ children: [], words: [] }) - 1;
        next[state * width + byte] = to;
        trie[state]?.children.push([byte, to]);
      }
      state = to;
    }
    trie[state]?.words.push(index);
  });
  next.fill(0);
  return trie;
}
