import { hex } from '../address/format.js';
import type { Machine } from '../machine/model.js';
import type { ConstraintSubject, Plan } from '../place/plan.js';
import { leftAlone, type Comparison } from './against.js';
import { parseGuests } from './predict.js';

/** The guests that a machine most likely meets. */
const usual: Readonly<Record<Machine['arch'], readonly string[]>> = {
  aarch64: ['linux-6.12', 'linux-7.2'],
  riscv64: ['linux-6.12', 'linux-7.2'],
  x86_64: ['seabios,linux-6.12', 'seabios,linux-7.2', 'ovmf-2025.02,linux-6.12', 'ovmf-2025.02,linux-7.2'],
};

/** Firmware for PCs goes by what it knows of QEMU's boards: of another board nothing is said. */
const usualOf = ({ arch, board }: Machine, uefi?: boolean): readonly string[] =>
  arch === 'x86_64' && board === 'none'
    ? []
    : usual[arch].filter((name) => uefi === undefined || name.startsWith('ovmf') === uefi);

/** Functions of a machine whose predictions take well under a second: of a larger one nothing is said that was not asked for. */
const MOST_FUNCTIONS = 4096;
const isLarge = ({ functions }: Plan): boolean => functions.length > MOST_FUNCTIONS;

const subject = (bar: ConstraintSubject): string =>
  typeof bar === 'number' ? `BAR ${bar}` : bar === 'rom' ? 'ROM' : `VF BAR ${bar.slice(2)}`;

/**
 * Whether pinning is needed at all: what each usual guest would make of the pins, and what it would leave without an address,
 * if it were left alone. Guests that do the same share a sentence; without pins, those that place every BAR have none.
 */
export function pinningNotes(machine: Machine, plan: Plan): string[] {
  const pinned = hasPins(plan);
  if (!pinned && isLarge(plan)) return [];
  return sentences(machine, plan, usualOf(machine), (one) =>
    [pinned ? saysOfPins(one) : undefined, saysOfMissing(one)].filter((text) => text !== undefined).join(', and '),
  );
}

/**
 * The usual guests that would leave a BAR without an address, or stop.
 * @param uefi whether the machine starts with UEFI firmware: what would run without it is not looked at, and the other way round
 */
export const missingNotes = (machine: Machine, plan: Plan, uefi: boolean): string[] =>
  isLarge(plan) ? [] : sentences(machine, plan, usualOf(machine, uefi), (one) => saysOfMissing(one) ?? '');

function sentences(
  machine: Machine,
  plan: Plan,
  names: readonly string[],
  say: (comparison: Comparison) => string,
): string[] {
  const byText = new Map<string, string[]>();
  for (const name of names) {
    const comparison = leftAlone(machine, plan, parseGuests(name));
    const { stopped } = comparison.prediction;
    const text = stopped === undefined ? say(comparison) : `stop: ${stopped}`;
    if (text !== '') byText.set(text, [...(byText.get(text) ?? []), name]);
  }
  return [...byText].map(([text, same]) => `Left alone, ${same.join(' and ')} would ${text}.`);
}

function saysOfPins({ moved }: Comparison): string {
  const pins = moved.filter(({ pinned }) => pinned);
  const [first] = pins;
  if (first === undefined) return 'have every pin where it is wanted';
  const where = first.predicted === undefined ? 'nowhere' : `at ${hex(first.predicted)}`;
  const others = pins.length > 1 ? ` and move ${pins.length - 1} more of the pins` : '';
  return `put ${first.id} ${subject(first.bar)} ${where}${others}`;
}

function saysOfMissing({ prediction }: Comparison): string | undefined {
  const left = prediction.unplaced.filter(({ bar }) => bar !== 'rom').map(({ id, bar }) => `${id} ${subject(bar)}`);
  if (left.length === 0) return undefined;
  const more = left.length > 3 ? ` and ${left.length - 3} more` : '';
  return `leave ${left.slice(0, 3).join(', ')}${more} without an address`;
}

/** Whether anything in the plan is pinned. */
const hasPins = ({ functions }: Plan): boolean =>
  functions.some(({ bars, rom, sriov }) =>
    [...bars, ...(rom ? [rom] : []), ...(sriov?.bars ?? [])].some(({ pinned }) => pinned),
  );
