import { formatWhere, type Problem } from '../../problem/problem.js';
import { styleFor, type Io } from '../io.js';
import { printableLines } from './printable.js';

/** A problem as a person reads it: `file:line:column: error: what`, then what to do. */
export function renderProblem(problem: Problem, io: Io): string {
  const style = styleFor(io.stderr, io.env);
  const where = printableLines(formatWhere(problem.where));
  const head = `${where ? `${style.bold(`${where}:`)} ` : 'pinbar: '}${style.red('error:')} ${printableLines(problem.message)}`;
  return `${head}\n${problem.hint ? `  ${style.cyan('help:')} ${printableLines(problem.hint)}\n` : ''}`;
}
