import * as v from 'valibot';
import { Problem, Problems, type Where } from '../problem/problem.js';
import type { Path } from './complain.js';
import type { Machine } from './model.js';
import { mistakesOf } from './mistakes.js';
import { normalize } from './normalize.js';
import { machineFileSchema } from './schema.js';

/** A machine file with more characters than this is refused unread. */
export const MAX_MACHINE_FILE = 64 * 1024 * 1024;
/**
 * The same for YAML, and for what is to be found in JSON by line and column: the YAML parser takes some four seconds and
 * a gigabyte for this much.
 */
export const MAX_YAML = 1024 * 1024;

/** Levels of nesting: what is read recursively must not reach the end of the stack. A bridge takes three. */
const MAX_DEPTH = 800;
/** So many mistakes of one file are told. */
const MAX_PROBLEMS = 50;

/** Finds line and column of a path in the text. */
type Locate = (path: Path) => Where;

/**
 * Reads a machine file's text, YAML or JSON. `file` is its name in messages.
 * @throws Problem or Problems, with file, line and column (JSON of more than 1 MiB: file only): `machine-too-large`,
 * `machine-syntax`, `machine-too-deep`, `machine-schema`, `machine-invalid`
 */
export async function loadMachine(text: string, file: string): Promise<Machine> {
  const json = /^\s*\{/.test(text);
  const most = json ? MAX_MACHINE_FILE : MAX_YAML;
  if (text.length > most) {
    throw new Problem(
      'machine-too-large',
      `${file} has ${text.length} characters; a machine file in ${json ? 'JSON' : 'YAML'} has at most ${most}`,
      { where: { file }, ...(json ? {} : { hint: 'write it as JSON, which is read much faster' }) },
    );
  }
  // A JSON file is read by the JSON parser, which is fast; YAML, and the places of mistakes, need the YAML parser.
  if (json) {
    const result = readJson(text, file);
    if (result.ok) return result.machine;
    if (text.length > MAX_YAML) throw failure(result.problems);
  }
  const { parseYaml } = await import('./yaml.js');
  const { value, locate } = parseYaml(text, file);
  return machineOf(check(value, locate));
}

/** Checks a value that is already parsed; `what` names it in messages. Throws as {@link loadMachine} does. */
export const machineFrom = (value: unknown, what: string): Machine => machineOf(check(value, () => ({ file: what })));

function machineOf(result: Checked): Machine {
  if (result.ok) return result.machine;
  throw failure(result.problems);
}

/** The problems in the order of the text. */
function failure(found: readonly Problem[]): Problem | Problems {
  const at = ({ where }: Problem) => [where?.line ?? 0, where?.column ?? 0] as const;
  const problems = found.toSorted((a, b) => at(a)[0] - at(b)[0] || at(a)[1] - at(b)[1]);
  const [first, ...rest] = problems;
  if (rest.length === 0 && first) return first;
  const more = problems.length - MAX_PROBLEMS;
  if (more <= 0) return new Problems(problems);
  const { where } = problems[MAX_PROBLEMS] ?? {};
  const last = new Problem('machine-problems', `there are ${more} more mistakes from here on`, where ? { where } : {});
  return new Problems([...problems.slice(0, MAX_PROBLEMS), last]);
}

function readJson(text: string, file: string): Checked {
  const where = { file };
  let value: unknown;
  try {
    value = JSON.parse(text) as unknown;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ok: false, problems: [new Problem('machine-syntax', `not valid JSON: ${why}`, { where })] };
  }
  // JSON.parse takes the last of several keys of one name without a word.
  const { keys, depth } = measure(value);
  if (depth <= MAX_DEPTH && keys !== keysWritten(text)) {
    return { ok: false, problems: [new Problem('machine-syntax', 'a key is given twice in one object', { where })] };
  }
  return check(value, () => where);
}

/** How many keys valid JSON has: strings before a colon. */
function keysWritten(text: string): number {
  let count = 0;
  for (const [, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"\s*(:)?/g)) if (colon) count++;
  return count;
}

/** The keys of all objects of a value, and its depth as far as {@link MAX_DEPTH} + 1. Does not recurse. */
function measure(value: unknown): { readonly keys: number; readonly depth: number } {
  let keys = 0;
  let deepest = 0;
  const open = [{ value, depth: 0 }];
  for (let next = open.pop(); next; next = open.pop()) {
    if (typeof next.value !== 'object' || next.value === null) continue;
    const depth = next.depth + 1;
    deepest = Math.max(deepest, depth);
    if (depth > MAX_DEPTH) break;
    const values = Object.values(next.value) as unknown[];
    if (!Array.isArray(next.value)) keys += values.length;
    for (const one of values) open.push({ value: one, depth });
  }
  return { keys, depth: deepest };
}

type Checked =
  { readonly ok: true; readonly machine: Machine } | { readonly ok: false; readonly problems: readonly Problem[] };

function check(value: unknown, locate: Locate): Checked {
  if (measure(value).depth > MAX_DEPTH) {
    const message = `values are nested more than ${MAX_DEPTH} levels deep`;
    return { ok: false, problems: [new Problem('machine-too-deep', message, { where: locate([]) })] };
  }
  const parsed = v.safeParse(machineFileSchema, value);
  const problems: Problem[] = [];
  if (!parsed.success) {
    for (const { path, message } of mistakesOf(parsed.issues)) {
      problems.push(new Problem('machine-schema', message, { where: locate(path), facts: { path } }));
    }
    return { ok: false, problems };
  }
  const machine = normalize(parsed.output, (path, message, hint) => {
    problems.push(
      new Problem('machine-invalid', message, { where: locate(path), facts: { path }, ...(hint ? { hint } : {}) }),
    );
  });
  return problems.length > 0 ? { ok: false, problems } : { ok: true, machine };
}
