import { hex } from '../address/format.js';
import { formatBdf } from '../pci/bdf.js';
import { readOp, writeOp, type ConfigAccess, type ConfigOp } from '../pci/config-access.js';
import { Exit, Problem } from '../problem/problem.js';
import type { BitChange, Programme, RegisterWrite } from './programme.js';

/** A register that does not hold what the plan needs. Values are under the mask of what matters. */
export interface Mismatch {
  readonly id: string;
  /** `0000:01:00.0`, the address in the plan. */
  readonly at: string;
  readonly what: string;
  readonly register: number;
  readonly wrote: number;
  readonly read: number;
  /** Of a window that the plan closes; see {@link RegisterWrite}. */
  readonly closed: boolean;
}

const write = ({ at, register, width, value }: RegisterWrite): ConfigOp => writeOp(at, register, width, value);
const read = ({ at, register, width }: RegisterWrite): ConfigOp => readOp(at, register, width);
const readWord = ({ at, register }: BitChange): ConfigOp => readOp(at, register, 2);

/** The reads that show whether a programme holds, and what their answers say. */
function checks({ buses, forwarding, addresses, windows, commands }: Programme) {
  const registers = [...buses, ...addresses, ...windows];
  const bits = [...forwarding, ...commands].filter(({ set }) => set !== 0);
  const wanted = [
    ...registers.map((one) => ({ one, wrote: one.value, mask: one.mask, closed: one.closed ?? false })),
    ...bits.map((one) => ({ one, wrote: one.set, mask: one.set, closed: false })),
  ];
  return {
    ops: [...registers.map(read), ...bits.map(readWord)],
    compare: (answers: readonly number[]): Mismatch[] =>
      wanted.flatMap(({ one: { id, at, what, register }, wrote, mask, closed }, i) => {
        const answer = answers[i] ?? 0xffff_ffff;
        if (((answer ^ wrote) & mask) === 0) return [];
        const values = { wrote: (wrote & mask) >>> 0, read: (answer & mask) >>> 0 };
        return [{ id, at: formatBdf(at), what, register, ...values, closed }];
      }),
  };
}

/**
 * Writes of 16-bit registers that change: the Command register alone, because the Status register, whose bits a 1 clears,
 * shares its dword.
 */
function changes(
  list: readonly BitChange[],
  before: readonly number[],
  next: (change: BitChange, now: number) => number,
) {
  return list.flatMap((change, i) => {
    const now = before[i] ?? 0;
    const value = next(change, now);
    return value === now ? [] : [writeOp(change.at, change.register, 2, value)];
  });
}

/**
 * Reads everything that a programme writes, without writing, and lists what differs: nothing, if the machine follows the
 * plan. The functions are looked for at the plan's addresses.
 */
export async function verifyProgramme(access: ConfigAccess, programme: Programme): Promise<Mismatch[]> {
  const { ops, compare } = checks(programme);
  return compare(await access.batch(ops));
}

/**
 * Carries a programme out and reads everything back: two round trips, three where ARI is used. The machine may be in any
 * state, after a reset in particular.
 * @throws Problem `register-not-kept` (exit 3) with every {@link Mismatch} in its facts
 * @throws Problem `config-read-only`
 */
export async function program(access: ConfigAccess, programme: Programme): Promise<void> {
  if (!access.writable) {
    throw new Problem('config-read-only', `the registers behind ${access.source} cannot be written`, {
      exit: Exit.outside,
    });
  }
  const { buses, forwarding, addresses, windows, commands } = programme;
  const state = [...commands.map(readWord), ...windows.map(read)];
  const first = await access.batch([
    ...buses.map(write),
    ...(forwarding.length > 0 ? forwarding.map(readWord) : state),
  ]);
  let before = first.slice(buses.length);
  if (forwarding.length > 0) {
    const forward = changes(forwarding, before, ({ set }, now) => now | set);
    before = (await access.batch([...forward, ...state])).slice(forward.length);
  }
  const held = before.slice(commands.length);
  const off = changes(commands, before, ({ clear }, now) => now & ~clear);
  const cleared = commands.map(({ clear }, i) => (before[i] ?? 0) & ~clear);
  const on = changes(commands, cleared, ({ set }, now) => now | set);
  const { ops, compare } = checks(programme);
  const moved = windows.filter(({ value, mask }, i) => (((held[i] ?? 0) ^ value) & mask) !== 0);
  const writes = [...off, ...addresses.map(write), ...moved.map(write), ...on.toReversed()];
  const mismatches = compare((await access.batch([...writes, ...ops])).slice(writes.length));
  if (mismatches.length > 0) throw notKept(mismatches);
}

function notKept(mismatches: readonly Mismatch[]): Problem {
  const [first, ...others] = mismatches;
  if (!first) throw new Error('nothing differs');
  const { id, at, what, register, wrote, read: answer } = first;
  const more = others.length > 0 ? `; ${others.length} more differ` : '';
  return new Problem(
    'register-not-kept',
    `${id} (${at}) did not keep its ${what}: wrote ${hex(wrote)} to register ${hex(register)}, read ${hex(answer)}${more}`,
    {
      exit: Exit.outside,
      hint: 'something else wrote to the device meanwhile, or it does not follow the specification there',
      facts: { mismatches },
    },
  );
}
