import {
  Composer,
  LineCounter,
  Parser,
  isMap,
  isScalar,
  isSeq,
  visit,
  type Alias,
  type CST,
  type Document,
  type Node,
} from 'yaml';
import { Problem, type Where } from '../problem/problem.js';

/**
 * Levels of nesting. The composer recurses, and what overflows the stack can end the whole process (a regular expression
 * that is compiled there does); 255 bridges in a row are not worth that risk.
 */
const MAX_DEPTH = 400;
/** How often aliases may be expanded: a small file can stand for a huge one. */
const MAX_ALIASES = 256;

export interface LocatedYaml {
  readonly value: unknown;
  /** Line and column of what lies at `path`, or of the nearest thing around it that exists. */
  readonly locate: (path: readonly (string | number)[]) => Where;
}

/**
 * Parses one YAML 1.2 document (JSON is one, too). Integers become bigint, so that nothing above 2^53 loses a bit.
 * @throws Problem `machine-syntax`, `machine-too-deep` with line and column
 */
export function parseYaml(text: string, file: string): LocatedYaml {
  const lines = new LineCounter();
  const tokens = [...new Parser(lines.addNewLine).parse(text)];
  const place = (offset: number): Where => {
    const { line, col } = lines.linePos(offset);
    return line > 0 ? { file, line, column: col } : { file };
  };
  const deep = tooDeep(tokens);
  if (deep !== undefined) {
    throw new Problem('machine-too-deep', `brackets or indentation are nested more than ${MAX_DEPTH} levels deep`, {
      where: place(deep),
    });
  }
  const composer = new Composer({ intAsBigInt: true, uniqueKeys: true, prettyErrors: false, logLevel: 'error' });
  const [document, another] = composer.compose(tokens, true, text.length);
  if (!document || another) {
    throw new Problem('machine-syntax', 'a second document begins here, and a machine file has one', {
      where: another ? place(another.range[0]) : { file },
    });
  }
  const [error] = document.errors;
  if (error) throw yamlProblem(error, place(error.pos[0]));
  const unresolved = danglingAlias(document);
  if (unresolved) {
    const message = `*${unresolved.source} stands for nothing: no &${unresolved.source} comes before it`;
    throw new Problem('machine-syntax', message, { where: place(start(unresolved)) });
  }
  try {
    return {
      value: document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown,
      locate: (path) => place(offsetOf(document, path)),
    };
  } catch (error) {
    throw yamlProblem(error, { file });
  }
}

function danglingAlias(document: Document.Parsed): Alias | undefined {
  let found: Alias | undefined;
  visit(document, {
    Alias: (_, alias) => {
      if (alias.resolve(document)) return undefined;
      found = alias;
      return visit.BREAK;
    },
  });
  return found;
}

/** The place of the first value that lies deeper than {@link MAX_DEPTH}. */
function tooDeep(tokens: readonly CST.Token[]): number | undefined {
  const open = tokens.map((token): { token: CST.Token; depth: number } => ({ token, depth: 0 }));
  for (let next = open.pop(); next; next = open.pop()) {
    const { token, depth } = next;
    if (depth > MAX_DEPTH) return token.offset;
    if (token.type === 'document' && token.value) open.push({ token: token.value, depth: depth + 1 });
    if (!('items' in token)) continue;
    for (const { key, value } of token.items) {
      if (key) open.push({ token: key, depth: depth + 1 });
      if (value) open.push({ token: value, depth: depth + 1 });
    }
  }
  return undefined;
}

function yamlProblem(error: unknown, where: Where): Problem {
  if (error instanceof ReferenceError && error.message.includes('alias count')) {
    const message = `aliases stand for more than ${MAX_ALIASES} times what they name`;
    return new Problem('machine-too-large', message, { where, hint: 'write out what the *aliases* mean' });
  }
  const [why = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
  return new Problem('machine-syntax', `not valid YAML: ${why}`, { where });
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
