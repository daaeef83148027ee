import type { LogLine } from './line.js';

/** A function in the drawing of `lspci -t` or `-tv`. */
export interface TreeFunction {
  readonly segment: number;
  /** The bus that it is on; undefined below a bridge whose bus is not drawn. */
  readonly bus: number;
  readonly device: number;
  readonly fn: number;
  /** The buses behind it, where it is a bridge. */
  readonly secondary?: number;
  readonly subordinate?: number;
  /** What `-v` adds. */
  readonly title: string;
  /** How many bridges are above it. */
  readonly depth: number;
  readonly line: LogLine;
}

const rootStart = /-\[([0-9a-f]{4,8}):([0-9a-f]{2})(?:-[0-9a-f]{2})?\]-/;
const node = /([0-9a-f]{2})\.([0-7])(?:-\[([0-9a-f]{2})(?:-([0-9a-f]{2}))?\])?(-*)/g;

/**
 * Reads the drawing of `lspci -t` (pciutils ls-tree.c) line by line: which bus a function is on follows from the column
 * in which its line begins.
 */
export class LspciTreeReader {
  readonly functions: TreeFunction[] = [];
  #segment = 0;
  #inside = false;
  /** Buses by the column where their functions start. */
  #columns: { readonly column: number; readonly bus: number }[] = [];

  take(line: LogLine): boolean {
    const { text } = line;
    const root = rootStart.exec(text);
    const drawn = this.#inside && /^[ |]*(?:\+|\\)-(?:\[|[0-9a-f]{2}\.[0-7])/.test(text);
    if (!root && !drawn) {
      if (this.#inside && !/^[ |]*$/.test(text)) this.#inside = false;
      return false;
    }
    this.#inside = true;
    if (root?.[1] && root[2]) {
      this.#segment = parseInt(root[1], 16);
      this.#columns = [{ column: root.index + root[0].length, bus: parseInt(root[2], 16) }];
    }
    this.#read(line, root ? root.index + root[0].length : text.search(/[+\\]-/) + 2);
    return true;
  }

  #read(line: LogLine, start: number) {
    const { text } = line;
    // `+-[0000:80]-` is a further root; `+-01.0-[01]----00.0` a bridge with a function behind it.
    this.#columns = this.#columns.filter(({ column }) => column <= start + 2);
    node.lastIndex = text.startsWith('+-', start) || text.startsWith('\\-', start) ? start + 2 : start;
    let end = -1;
    for (let match = node.exec(text); match; match = node.exec(text)) {
      if (end >= 0 && match.index !== end && !/^[-+]*$/.test(text.slice(end, match.index))) break;
      const at = match.index;
      const bus = this.#columns.findLast(({ column }) => column <= at)?.bus;
      if (bus === undefined || this.functions.length >= 4096) return;
      end = at + match[0].length;
      const behind =
        match[3] === undefined
          ? {}
          : { secondary: parseInt(match[3], 16), subordinate: parseInt(match[4] ?? match[3], 16) };
      const title = match[5] === '' ? text.slice(end).trim() : '';
      this.functions.push({
        segment: this.#segment,
        bus,
        device: parseInt(match[1] ?? '0', 16),
        fn: Number(match[2]),
        ...behind,
        title,
        depth: this.#columns.length - 1,
        line,
      });
      if (behind.secondary !== undefined) this.#columns = [...this.#columns, { column: end, bus: behind.secondary }];
      if (match[5] === '' && match[3] === undefined) return;
    }
  }
}
