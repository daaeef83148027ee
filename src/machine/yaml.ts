import { LineCounter, isMap, isScalar, isSeq, parseDocument, type Document, type Node } from 'yaml';
import { Problem, type Where } from '../problem/problem.js';

export interface LocatedYaml {
  readonly value: unknown;
  /** Line and column of what lies at `path`, or of the nearest thing around it that exists. */
  readonly locate: (path: readonly (string | number)[]) => Where;
}

/**
 * Parses one YAML 1.2 document (JSON is one, too). Integers become bigint, so that nothing above 2^53 loses a bit.
 * @throws Problem `machine-syntax` with line and column
 */
export function parseYaml(text: string, file: string): LocatedYaml {
  const lines = new LineCounter();
  let document: Document.Parsed;
  try {
    document = parseDocument(text, { lineCounter: lines, intAsBigInt: true, uniqueKeys: true, prettyErrors: false });
  } catch (error) {
    // The parser recurses: a hostile depth ends in a RangeError.
    throw new Problem(
      'machine-syntax',
      `${file} cannot be read as YAML: ${error instanceof Error ? error.message : String(error)}`,
      { where: { file } },
    );
  }
  const place = (offset: number): Where => {
    const { line, col } = lines.linePos(offset);
    return line > 0 ? { file, line, column: col } : { file };
  };
  const [error] = document.errors;
  if (error) {
    throw new Problem('machine-syntax', `not valid YAML: ${error.message.split('\n')[0] ?? error.code}`, {
      where: place(error.pos[0]),
    });
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 1000 });
  } catch (error) {
    throw new Problem('machine-syntax', `cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      where: { file },
    });
  }
  return { value, locate: (path) => place(offsetOf(document, path)) };
}

function offsetOf(document: Document.Parsed, path: readonly (string | number)[]): number {
  let node: unknown = document.contents;
  let offset = start(node);
  for (const key of path) {
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
      if (!pair) break;
      // A mistake in a value is shown at the value, a missing or empty one at its key.
      offset = isScalar(pair.value) || pair.value === null ? start(pair.value ?? pair.key) : start(pair.key);
      next = pair.value;
    } else if (isSeq(node)) {
      next = node.items[Number(key)];
      if (next === undefined) break;
      offset = start(next);
    }
    if (next === undefined || next === null) break;
    node = next;
  }
  return offset;
}

const start = (node: unknown): number => (node as Node | null)?.range?.[0] ?? 0;
