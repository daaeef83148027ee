import { Problem } from '../../problem/problem.js';

/** One member of a JSON object and where it stands in the text, so that it can be cut out and the rest kept as it was. */
export interface JsonMember {
  readonly key: string;
  /** A string's content; anything else as it is written (`4096`, `true`, `{"type": …}`). */
  readonly value: string;
  readonly isString: boolean;
  readonly start: number;
  readonly end: number;
}

/** A string in double quotes, or in single ones, which QEMU reads too (qobject/json-lexer.c). */
const stringToken = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/suy;
const space = /[ \t\r\n]*/y;
const scalar = /[^\s,:{}[\]"']+/y;

function decodeString(token: string): string | undefined {
  const single = token.startsWith("'");
  const body = token.slice(1, -1).replace(/\\.|"/gs, (found) => {
    if (found === "\\'") return "'";
    return single && found === '"' ? '\\"' : found;
  });
  try {
    return JSON.parse(`"${body}"`) as string;
  } catch {
    return undefined;
  }
}

/** Reads tokens of `text` from `at` on. */
class Scanner {
  at = 0;
  constructor(readonly text: string) {}

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    this.at += found?.length ?? 0;
    return found;
  }

  /** Skips white space and takes `character` where it comes next. */
  take(character: string): boolean {
    this.#match(space);
    const next = this.text[this.at] === character;
    if (next) this.at++;
    return next;
  }

  string(): string | undefined {
    this.#match(space);
    const token = this.#match(stringToken);
    return token === undefined ? undefined : decodeString(token);
  }

  /** Whether a string comes next, well-formed or not. */
  atString(): boolean {
    this.#match(space);
    return this.text[this.at] === '"' || this.text[this.at] === "'";
  }

  /** Passes over one value, however deep, by counting brackets. False where there is none. */
  skipValue(): boolean {
    const closing: string[] = [];
    do {
      this.#match(space);
      const next = this.text[this.at];
      if (next === '{' || next === '[') {
        closing.push(next === '{' ? '}' : ']');
        this.at++;
      } else if (next !== undefined && next === closing.at(-1)) {
        closing.pop();
        this.at++;
      } else if (closing.length > 0 && (next === ',' || next === ':')) {
        this.at++;
      } else if (this.#match(stringToken) === undefined && this.#match(scalar) === undefined) {
        return false;
      }
    } while (closing.length > 0);
    return true;
  }
}

/** Whether QEMU would take an argument as JSON: it begins with a brace (util/keyval.c users, system/vl.c). */
export const isJson = (argument: string): boolean => argument.startsWith('{');

/**
 * The members of a JSON object, at the top level. What lies deeper is passed over, not checked.
 * @throws Problem `qemu-json`
 */
export function parseJsonObject(text: string, option: string): JsonMember[] {
  const scan = new Scanner(text);
  const members: JsonMember[] = [];
  const fail = (what: string) =>
    new Problem(
      'qemu-json',
      `the JSON of ${option} ${text.slice(0, 80)} is malformed at character ${scan.at + 1}: ${what}`,
      {
        hint: 'write one object, {"driver":"…","id":"…"}, and quote it for the shell',
        facts: { option, text: text.slice(0, 2000), at: scan.at },
      },
    );
  if (!scan.take('{')) throw fail('an object was expected');
  for (let more = !scan.take('}'); more;) {
    const start = scan.at;
    const key = scan.string();
    if (key === undefined) throw fail('a name in quotes was expected');
    if (!scan.take(':')) throw fail(`a colon was expected after "${key.slice(0, 60)}"`);
    const valueStart = scan.at;
    const value = scan.string();
    const isString = value !== undefined;
    if (!isString) scan.at = valueStart;
    if (!isString && (scan.atString() || !scan.skipValue()))
      throw fail(`a value was expected for "${key.slice(0, 60)}"`);
    members.push({ key, value: value ?? text.slice(valueStart, scan.at).trim(), isString, start, end: scan.at });
    more = scan.take(',');
    if (!more && !scan.take('}')) throw fail('a comma or the closing brace was expected');
  }
  if (text.slice(scan.at).trim() !== '') throw fail('nothing was expected after the object');
  return members;
}

/** The object without those members: what stays is written as it was. */
export function withoutMembers(text: string, drop: ReadonlySet<JsonMember>, members: readonly JsonMember[]): string {
  const kept = members.filter((member) => !drop.has(member));
  return `{${kept.map(({ start, end }) => text.slice(start, end).trim()).join(',')}}`;
}

/** The object with one more member, a string, at its front. */
export function withMember(text: string, key: string, value: string): string {
  const rest = text.slice(text.indexOf('{') + 1);
  return `{${JSON.stringify(key)}:${JSON.stringify(value)}${rest.trim() === '}' ? '' : ','}${rest}`;
}
