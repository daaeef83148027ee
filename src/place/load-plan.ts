import { Problem, type Where } from '../problem/problem.js';
import { planFromJson } from './plan-json.js';
import type { Plan } from './plan.js';

const HINT = 'give a plan that pinbar wrote (pinbar plan --json, pinbar run --plan-out)';
/** Lines of a larger file are not looked up: the parser that knows them takes seconds and a gigabyte for this much. */
const MAX_LOCATED = 1024 * 1024;

/**
 * Reads a plan file's text, which has to be one with a plan in it. `file` is its name in messages.
 * @throws Problem `plan-syntax`, `plan-schema`, `plan-range` with file, line and column (above 1 MiB: file only);
 * `plan-empty`
 */
export async function loadPlan(text: string, file: string): Promise<Plan> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const position = / in JSON at position (\d+)(?: \(line \d+ column \d+\))?/.exec(why);
    throw new Problem('plan-syntax', `not valid JSON: ${position ? why.replace(position[0], '') : why}`, {
      where: position ? { file, ...lineOf(text, Number(position[1])) } : { file },
      hint: HINT,
    });
  }
  try {
    const result = planFromJson(value);
    if (result.status === 'placed') return result;
    throw new Problem('plan-empty', `this is no plan but the answer that there is none (${result.status})`, {
      hint: HINT,
    });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const path = (error.facts['path'] as readonly (string | number)[] | undefined) ?? [];
    throw error.at(path.length > 0 && text.length <= MAX_LOCATED ? await placeOf(text, file, path) : { file });
  }
}

function lineOf(text: string, position: number): Where {
  const before = text.slice(0, position).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

async function placeOf(text: string, file: string, path: readonly (string | number)[]): Promise<Where> {
  const { parseYaml } = await import('../machine/yaml.js');
  try {
    return parseYaml(text, file).locate(path);
  } catch {
    // JSON that the YAML parser refuses, such as a key given twice.
    return { file };
  }
}
