import { stripVTControlCharacters } from 'node:util';
import { Problem, Problems } from '../../src/problem/problem.js';
import type { Target } from './targets.js';

/** Milliseconds of processor time; inputs are small. */
const MOST_TIME = 2000;
/** A sentence for people is not longer, whatever the input was. */
const LONGEST_MESSAGE = 4000;

/** Runs a parser on one input. @returns what is wrong with the parser, if anything. */
export async function examine(target: Target, bytes: Uint8Array, most = MOST_TIME): Promise<string | undefined> {
  const start = process.cpuUsage();
  try {
    await target.run(bytes);
  } catch (error) {
    const list = error instanceof Problems ? error.list : error instanceof Problem ? [error] : undefined;
    if (!list) return error instanceof Error ? (error.stack ?? String(error)) : `threw ${String(error)}`;
    for (const problem of list) {
      const fault = faultOf(problem);
      if (fault !== undefined) return fault;
    }
  }
  const { user, system } = process.cpuUsage(start);
  const took = (user + system) / 1000;
  return took > most ? `took ${Math.round(took)} ms of processor time for ${bytes.length} bytes` : undefined;
}

function faultOf({ code, message, hint = '' }: Problem): string | undefined {
  if (message.length + hint.length > LONGEST_MESSAGE)
    return `${code}: a message of ${message.length + hint.length} characters`;
  if (!/^[a-z0-9-]+$/.test(code)) return `${code} is no code`;
  return /\bundefined\b|\bNaN\b|\[object /.test(stripVTControlCharacters(message)) ? `${code}: ${message}` : undefined;
}
