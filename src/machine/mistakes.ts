import type * as v from 'valibot';
import type { Path } from './complain.js';

/** So many characters of a wrong value are shown. */
const MAX_SHOWN = 60;

/** Where a value is not what its schema wants, and that in words: `hostBridges[0].functions[1].slot: …`. */
export interface Mistake {
  readonly path: Path;
  readonly message: string;
}

/** The mistakes that a schema found, in its order. */
export const mistakesOf = (issues: readonly v.BaseIssue<unknown>[]): Mistake[] =>
  issues.flatMap((one) => innermost(one, [])).map(({ issue, path }) => ({ path, message: sentence(path, issue) }));

interface Located {
  readonly issue: v.BaseIssue<unknown>;
  readonly path: Path;
}

/** Where one of several forms is allowed, the mistakes in the one that was meant, if that can be told. */
function innermost(issue: v.BaseIssue<unknown>, outer: Path): Located[] {
  const path = [...outer, ...(issue.path ?? []).map((item) => item.key as string | number)];
  const meant = (issue.issues ?? []).filter((one) => one.path !== undefined || one.kind !== 'schema');
  return meant.length > 0 ? meant.flatMap((one) => innermost(one, path)) : [{ issue, path }];
}

/** One mistake in words: `hostBridges[0].functions[1].slot: …`. */
function sentence(path: Path, issue: v.BaseIssue<unknown>): string {
  const at = path.map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? key : `.${key}`)).join('');
  const prefix = at ? `${at}: ` : '';
  if (issue.type === 'strict_object' && issue.expected === 'never') return `${prefix}pinbar does not know this key`;
  if (issue.type.endsWith('object') && issue.received === 'undefined') return `${prefix}is missing`;
  if (issue.kind === 'schema' && issue.message.startsWith('Invalid ')) {
    return `${prefix}expected ${options(issue.expected ?? 'something else')}, found ${shown(issue.received)}`;
  }
  return `${prefix}${issue.message}`;
}

const words: Readonly<Record<string, string>> = {
  Object: 'a map',
  Array: 'a list',
  null: 'nothing',
  undefined: 'nothing',
  string: 'a string',
  number: 'a number',
  bigint: 'a number',
  boolean: 'true or false',
};

/** What was expected, one type or several in brackets, as people call it. */
function options(types: string): string {
  const names = types.startsWith('(') ? types.replace(/[()]/g, '').split(' | ') : [types];
  return [...new Set(names.map((name) => words[name] ?? name))].join(' or ');
}

/** What was found: a type as people call it, or a value, of which a long one is cut. */
function shown(found: string): string {
  const text = words[found] ?? found;
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
}
