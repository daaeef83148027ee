import { formatBdf, type Bdf } from '../../pci/bdf.js';
import type { Source } from '../observation.js';
import type { Conflict } from './model.js';

/** So many are kept: what contradicts itself more often than that is not one machine. */
const MOST_CONFLICTS = 1000;

/** A value and the line that it was read from. */
export interface Sourced<T> {
  readonly value: T;
  readonly source: Source;
}

/** Where the sources do not agree. */
export class Conflicts {
  readonly #found = new Map<string, Conflict>();

  /** Says that `other` contradicts `kept`, which the capture holds. Values are as people read them. */
  add(address: Bdf | undefined, what: string, kept: Sourced<string>, other: Sourced<string>): void {
    const key = `${address ? formatBdf(address) : ''} ${what}`;
    const known = this.#found.get(key);
    const value = { value: other.value, from: sourceText(other.source) };
    if (known) {
      if (known.values.length < 8) this.#found.set(key, { ...known, values: [...known.values, value] });
    } else if (this.#found.size < MOST_CONFLICTS) {
      const first = { value: kept.value, from: sourceText(kept.source) };
      this.#found.set(key, { ...(address ? { address } : {}), what, values: [first, value] });
    }
  }

  list(): Conflict[] {
    return [...this.#found.values()];
  }
}

/** `lspci.txt:12`; line 0 means the file as a whole. */
export const sourceText = ({ file, line }: Source): string => (line > 0 ? `${file}:${line}` : file);
