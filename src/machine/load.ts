import * as v from 'valibot';
import { Problem, Problems, type Where } from '../problem/problem.js';
import type { Path } from './complain.js';
import type { Machine } from './model.js';
import { normalize } from './normalize.js';
import { machineFileSchema } from './schema.js';

/** A machine file larger than this is refused unread. */
export const MAX_MACHINE_FILE = 64 * 1024 * 1024;

/** Finds line and column of a path in the text. */
type Locate = (path: Path) => Where;

/**
 * Reads a machine file's text, YAML or JSON. `file` is its name in messages.
 * @throws Problem or Problems, with file, line and column: `machine-syntax`, `machine-schema`, `machine-invalid`
 */
export async function loadMachine(text: string, file: string): Promise<Machine> {
  if (text.length > MAX_MACHINE_FILE) {
    throw new Problem(
      'machine-too-large',
      `${file} has ${text.length} characters; a machine file has at most ${MAX_MACHINE_FILE}`,
      { where: { file } },
    );
  }
  // A JSON file is read by the JSON parser, which is fast; YAML, and the places of mistakes, need the YAML parser.
  const json = /^\s*\{/.test(text) ? tryJson(text) : undefined;
  if (json !== undefined) {
    const result = check(json.value, () => ({ file }));
    if (result.ok) return result.machine;
  }
  const { parseYaml } = await import('./yaml.js');
  const { value, locate } = parseYaml(text, file);
  const result = check(value, locate);
  if (result.ok) return result.machine;
  const [first, ...rest] = result.problems;
  throw rest.length === 0 && first ? first : new Problems(result.problems);
}

/** Checks a value that is already parsed; `what` names it in messages. Throws as {@link loadMachine} does. */
export function machineFrom(value: unknown, what: string): Machine {
  const result = check(value, () => ({ file: what }));
  if (result.ok) return result.machine;
  const [first, ...rest] = result.problems;
  throw rest.length === 0 && first ? first : new Problems(result.problems);
}

function tryJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

type Checked =
  { readonly ok: true; readonly machine: Machine } | { readonly ok: false; readonly problems: readonly Problem[] };

function check(value: unknown, locate: Locate): Checked {
  const problems: Problem[] = [];
  let parsed;
  try {
    parsed = v.safeParse(machineFileSchema, value);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return {
      ok: false,
      problems: [
        new Problem('machine-too-deep', 'bridges are nested too deeply: a segment has 256 buses', {
          where: locate([]),
        }),
      ],
    };
  }
  if (!parsed.success) {
    for (const issue of parsed.issues) {
      const path = (issue.path ?? []).map((item) => item.key as string | number);
      problems.push(new Problem('machine-schema', sentence(path, issue), { where: locate(path), facts: { path } }));
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

/** One mistake in words: `hostBridges[0].functions[1].slot: …`. */
function sentence(path: Path, issue: v.BaseIssue<unknown>): string {
  const at = path.map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? key : `.${key}`)).join('');
  const prefix = at ? `${at}: ` : '';
  if (issue.type === 'strict_object' && issue.expected === 'never') return `${prefix}pinbar does not know this key`;
  if (issue.type === 'strict_object' && issue.received === 'undefined') return `${prefix}is missing`;
  if (issue.kind === 'schema' && issue.message.startsWith('Invalid ')) {
    return `${prefix}expected ${issue.expected ?? 'something else'}, found ${issue.received}`;
  }
  return `${prefix}${issue.message}`;
}
