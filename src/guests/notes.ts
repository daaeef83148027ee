import { hex } from '../address/format.js';
import type { Machine } from '../machine/model.js';
import type { ConstraintSubject, Plan } from '../place/plan.js';
import { leftAlone } from './against.js';
import { parseGuests } from './predict.js';

/** The guests that a machine most likely meets. */
const usual: Readonly<Record<Machine['arch'], readonly string[]>> = {
  aarch64: ['linux-6.12', 'linux-7.2'],
  riscv64: ['linux-6.12', 'linux-7.2'],
  x86_64: ['seabios,linux-6.12'],
};

const subject = (bar: ConstraintSubject): string =>
  typeof bar === 'number' ? `BAR ${bar}` : bar === 'rom' ? 'ROM' : `VF BAR ${bar.slice(2)}`;

/**
 * Whether pinning is needed at all: a sentence for each usual guest on what it would make of the pins, and what it would
 * leave without an address, if it were left alone.
 */
export function pinningNotes(machine: Machine, plan: Plan): string[] {
  return usual[machine.arch].map((name) => {
    const { prediction, moved } = leftAlone(machine, plan, parseGuests(name));
    if (prediction.stopped !== undefined) return `Left alone, ${name} would stop: ${prediction.stopped}.`;
    const pins = moved.filter(({ pinned }) => pinned);
    const missing = prediction.unplaced.filter(({ bar }) => bar !== 'rom');
    const [first] = pins;
    const placed =
      first === undefined
        ? 'would have every pin where it is wanted'
        : `would put ${first.id} ${subject(first.bar)} ${first.predicted === undefined ? 'nowhere' : `at ${hex(first.predicted)}`}${pins.length > 1 ? ` and move ${pins.length - 1} more of the pins` : ''}`;
    const left = missing.map(({ id, bar }) => `${id} ${subject(bar)}`);
    const more = left.length > 3 ? ` and ${left.length - 3} more` : '';
    return `Left alone, ${name} ${placed}${left.length > 0 ? `, and leave ${left.slice(0, 3).join(', ')}${more} without an address` : ''}.`;
  });
}

/** Whether anything in the plan is pinned. */
export const hasPins = ({ functions }: Plan): boolean =>
  functions.some(({ bars, rom, sriov }) =>
    [...bars, ...(rom ? [rom] : []), ...(sriov?.bars ?? [])].some(({ pinned }) => pinned),
  );
