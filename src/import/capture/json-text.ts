/** JSON in the way that people lay it out: what fits on a line stands on a line. */
const WIDTH = 150;

type Json = string | number | boolean | null | JsonList | JsonObject;
type JsonList = readonly Json[];
interface JsonObject {
  readonly [key: string]: Json | undefined;
}

const isList = (value: JsonList | JsonObject): value is JsonList => Array.isArray(value);

/** Keys that are there with a value. */
const entriesOf = (value: JsonObject) =>
  Object.entries(value).flatMap(([key, item]) => (item === undefined ? [] : [[key, item] as const]));

/** JSON text with a line feed at its end. `value` holds plain JSON only; keys that are undefined are left out. */
export const formatJson = (value: unknown): string => `${layOut(value as Json, '', 0)}\n`;

/**
 * @param indent of the line that the value begins on
 * @param taken characters of that line that are in use, its indent included
 */
function layOut(value: Json, indent: string, taken: number): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const flat = inline(value, WIDTH - taken);
  if (flat !== undefined) return flat;
  const inner = `${indent}  `;
  const item = (name: string, one: Json) => `${inner}${name}${layOut(one, inner, inner.length + name.length + 1)}`;
  if (isList(value)) return `[\n${value.map((one) => item('', one)).join(',\n')}\n${indent}]`;
  const items = entriesOf(value).map(([key, one]) => item(`${JSON.stringify(key)}: `, one));
  return `{\n${items.join(',\n')}\n${indent}}`;
}

/** The value on one line, if it has at most `room` characters. */
function inline(value: Json, room: number): string | undefined {
  if (room < 2) return undefined;
  if (typeof value !== 'object' || value === null) {
    const text = JSON.stringify(value);
    return text.length <= room ? text : undefined;
  }
  const list = isList(value);
  const entries = list ? value.map((item) => ['', item] as const) : entriesOf(value);
  if (entries.length === 0) return list ? '[]' : '{}';
  const parts: string[] = [];
  // Brackets, and a space at either side of what braces hold.
  let left = room - (list ? 2 : 4);
  for (const [key, item] of entries) {
    const name = list ? '' : `${JSON.stringify(key)}: `;
    const text = inline(item, left - name.length);
    if (text === undefined || name.length + text.length > left) return undefined;
    parts.push(`${name}${text}`);
    left -= name.length + text.length + 2;
  }
  return list ? `[${parts.join(', ')}]` : `{ ${parts.join(', ')} }`;
}
