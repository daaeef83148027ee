import type { Infeasible, Plan, PlanResult } from '../../place/plan.js';
import { styleFor, type Io, type Output, type Style } from '../io.js';
import { renderFunctions } from './functions.js';
import { renderMap } from './map.js';

/** A plan as a table and a map, or why there is none. */
export function renderResult(result: PlanResult, output: Output, env: Io['env']): string {
  const style = styleFor(output, env);
  switch (result.status) {
    case 'placed':
      return renderPlan(result, style);
    case 'infeasible':
      return renderInfeasible(result, style);
    case 'undecided':
      return `${style.yellow('Undecided')}: ${result.summary}\n`;
  }
}

export const renderPlan = (plan: Plan, style: Style): string =>
  `${renderFunctions(plan, style)}\n${renderMap(plan, style)}`;

export function renderInfeasible(result: Infeasible, style: Style): string {
  const { conflict, remedies } = result;
  const constraints = conflict.constraints
    .map((one) => `  ${style.cyan(one.kind.padEnd(12))} ${one.detail}\n`)
    .join('');
  const changes = remedies
    .map((remedy) => `  ${remedy.verified ? style.green('works') : style.yellow('untried')}  ${remedy.change}\n`)
    .join('');
  return [
    `${style.red('There is no valid plan.')}\n`,
    `\n${conflict.summary}\n`,
    conflict.constraints.length > 0
      ? `\nThese cannot hold together; without any one of them the rest has a plan:\n${constraints}`
      : '',
    changes ? `\nWhat would help, each solved again with the change made:\n${changes}` : '',
  ].join('');
}
