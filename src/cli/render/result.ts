import { roughSize } from '../../address/format.js';
import type { Reserved } from '../../machine/model.js';
import type { Infeasible, Plan, PlanResult } from '../../place/plan.js';
import { styleFor, type Io, type Output, type Style } from '../io.js';
import { renderFunctions } from './functions.js';
import { renderMap } from './map.js';
import { printable } from './printable.js';
import { wrap } from './wrap.js';

/** A plan as a table and a map, or why there is none. `reserved`: the reserved ranges of the machine. */
export function renderResult(
  result: PlanResult,
  output: Output,
  env: Io['env'],
  reserved: readonly Reserved[] = [],
): string {
  const style = styleFor(output, env);
  switch (result.status) {
    case 'placed':
      return renderPlan(result, style, reserved);
    case 'infeasible':
      return renderInfeasible(result, style, Math.min(output.columns, WIDEST));
    case 'undecided':
      return `${style.yellow('Undecided')}: ${result.summary}.\n`;
  }
}

export const renderPlan = (plan: Plan, style: Style, reserved: readonly Reserved[] = []): string =>
  `${renderFunctions(plan, style)}\n${ramInParts(plan, style)}${renderMap(plan, style, reserved)}`;

/** RAM in one piece is what everyone expects. */
const ramInParts = ({ ram }: Plan, style: Style): string =>
  ram.length < 2
    ? ''
    : `${ram.map((range) => `${style.bold('RAM')}  ${range.toString()}  ${roughSize(range.size)}\n`).join('')}\n`;

const ALL = 'These cannot hold together; without any one of them the rest has a plan';
const SOME = 'These cannot hold together, and some of them may not be needed for that';

/** Prose is broken at this width, where the terminal is wider. */
const WIDEST = 110;

function renderInfeasible(result: Infeasible, style: Style, width: number): string {
  const { conflict, remedies } = result;
  const item = (head: string, paint: (text: string) => string, text: string) => {
    const indent = ' '.repeat(head.length + 4);
    return `  ${paint(head)}  ${wrap(printable(text), width - indent.length, indent)}\n`;
  };
  const constraints = conflict.constraints.map((one) => item(one.kind.padEnd(12), style.cyan, one.detail)).join('');
  const changes = remedies
    .map(({ verified, change }) => item(verified ? 'works' : 'untried', verified ? style.green : style.yellow, change))
    .join('');
  return [
    `${style.red('There is no valid plan.')}\n`,
    `\n${wrap(printable(conflict.summary), width)}\n`,
    conflict.constraints.length > 0 ? `\n${conflict.minimal === false ? SOME : ALL}:\n${constraints}` : '',
    changes ? `\nWhat would help (works: solved again with the change made):\n${changes}` : '',
    result.stopped
      ? `\n${wrap(`The time limit ended the search for ${changes ? 'more that would help' : 'what would help'}: give it a longer --time-limit, or none.`, width)}\n`
      : '',
  ].join('');
}
