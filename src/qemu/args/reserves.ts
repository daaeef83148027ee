import { parseSize } from '../../address/format.js';
import type { ReserveRequest } from '../../pin/reserves.js';
import { suggest } from '../../problem/nearest.js';
import { Problem } from '../../problem/problem.js';

const kinds = ['buses', 'io', 'memory', 'prefetchable'] as const;
type Kind = (typeof kinds)[number];

const SYNTAX =
  'write ID=KIND:SIZE, such as --reserve rp1=prefetchable:1G,memory:16M,buses:2; all=… means every empty port';
const MOST_BUSES = 255n;

/**
 * The argument of `--reserve`: `rp1=buses:2,io:4K,memory:16M,prefetchable:1G`, or `all=…`. The id is all before the first `=`.
 * @throws Problem `reserve-syntax`, `reserve-size`
 */
export function parseReserveOption(argument: string): ReserveRequest {
  const source = `--reserve ${argument}`;
  const wrong = (what: string, hint = SYNTAX, code = 'reserve-syntax') =>
    new Problem(code, `${source.slice(0, 120)}: ${what}`, { hint, facts: { argument: argument.slice(0, 200) } });
  const sign = argument.indexOf('=');
  if (sign < 1) throw wrong(sign === 0 ? 'the id of a port is missing' : 'there is no =');
  const reserve: Partial<Record<Kind, bigint>> = {};
  for (const item of argument.slice(sign + 1).split(',')) {
    const [word = '', size, ...more] = item.split(':');
    if (size === undefined || more.length > 0) {
      throw wrong(
        item === '' ? 'there is nothing where KIND:SIZE should be' : `"${item.slice(0, 40)}" is not KIND:SIZE`,
      );
    }
    const kind = kinds.find((one) => one === word);
    if (!kind) throw wrong(`"${word.slice(0, 40)}" is nothing that a port could keep`, suggest(word, kinds, 'kind'));
    if (reserve[kind] !== undefined) throw wrong(`${kind} is there twice`, 'keep one of the two');
    reserve[kind] = amount(kind, size, (what, hint) => wrong(what, hint, 'reserve-size'));
  }
  const { buses, ...windows } = reserve;
  const id = argument.slice(0, sign);
  return { id, reserve: { ...windows, ...(buses === undefined ? {} : { buses: Number(buses) }) }, source };
}

function amount(kind: Kind, text: string, wrong: (what: string, hint?: string) => Problem): bigint {
  if (kind === 'buses') {
    if (/^[0-9]{1,3}$/.test(text) && BigInt(text) <= MOST_BUSES) return BigInt(text);
    throw wrong(`"${text.slice(0, 40)}" is not a number of buses, 0 to ${MOST_BUSES}`, 'buses are counted: buses:2');
  }
  try {
    return parseSize(text);
  } catch (error) {
    if (error instanceof Problem) throw wrong(error.message, error.hint);
    throw error;
  }
}
