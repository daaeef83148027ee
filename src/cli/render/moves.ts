import { hex } from '../../address/format.js';
import type { Move, Moves } from '../../place/moves.js';
import { printable } from './printable.js';

/** What of an earlier plan stayed, and what did not. */
export function renderMoves({ moved, stayed }: Moves, name: string): string {
  const all = moved.length + stayed;
  const head = `${stayed} of ${all} addresses and bus numbers are as in ${printable(name)}`;
  if (moved.length === 0) return `\n${head}.\n`;
  return `\n${head}; these are not:\n${moved.map((move) => `  ${printable(nameOf(move))}  ${say(move, move.from)} -> ${say(move, move.to)}\n`).join('')}`;
}

const say = ({ subject }: Move, at: bigint) => (subject === 'secondary' ? at.toString(16).padStart(2, '0') : hex(at));

function nameOf({ id, subject }: Move): string {
  if (subject === 'secondary') return `${id} bus`;
  if (subject === 'rom') return `${id} ROM`;
  return typeof subject === 'number' ? `${id} BAR ${subject}` : `${id} ${subject.replace('vf', 'VF BAR ')}`;
}
