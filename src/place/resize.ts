import type { Size } from '../address/kinds.js';
import { eachFunction, type Bar, type Machine, type MachineFunction } from '../machine/model.js';
import { withFunctions } from './changes.js';
import type { ConstraintSubject, Infeasible, Plan, PlannedBar, PlannedFunction, PlanResult } from './plan.js';

/*
 * Resizable BARs (PCI Express Base 6.0 §7.8.6; of VFs §9.3.7.5). What follows works on machines whose BARs have one size
 * each; here sizes are chosen.
 */

/** A BAR that is to be as large as fits. */
interface Wish {
  readonly fn: MachineFunction;
  readonly subject: ConstraintSubject;
  /** Ascending. */
  readonly sizes: readonly Size[];
}

/** The size of each wish, as an index into its sizes. */
type Levels = readonly number[];

const subjectOf = (bar: Bar, isVf: boolean): ConstraintSubject => (isVf ? `vf${bar.index}` : bar.index);

function resizableOf(fn: MachineFunction): { bar: Bar; subject: ConstraintSubject }[] {
  const own = fn.bars.map((bar) => ({ bar, subject: subjectOf(bar, false) }));
  const vf = fn.sriov?.bars.map((bar) => ({ bar, subject: subjectOf(bar, true) })) ?? [];
  return [...own, ...vf].filter(({ bar }) => bar.resizable);
}

/** Whether the machine asks for other sizes than the present ones. */
export function asksToResize(machine: Machine): boolean {
  const asks = ({ resizable }: Bar) => resizable !== undefined && resizable.to !== 'keep';
  const some = (functions: readonly MachineFunction[]): boolean =>
    functions.some(
      ({ bars, sriov, bridge }) =>
        bars.some(asks) || sriov?.bars.some(asks) || (bridge !== undefined && some(bridge.functions)),
    );
  return machine.hostBridges.some(({ functions }) => some(functions));
}

/** The BARs that are to be as large as fits, in bus order. */
const wishesOf = (machine: Machine): Wish[] =>
  machine.hostBridges.flatMap((host) =>
    [...eachFunction(host.functions)].flatMap(({ fn }) =>
      resizableOf(fn).flatMap(({ bar, subject }) =>
        bar.resizable?.to === 'largest' ? [{ fn, subject, sizes: bar.resizable.sizes }] : [],
      ),
    ),
  );

/** The machine with the sizes that were asked for, and each wish at its level. */
function sized(machine: Machine, wishes: readonly Wish[], levels: Levels): Machine {
  const chosen = new Map(wishes.map(({ fn, subject, sizes }, i) => [`${subject} ${fn.id}`, sizes[levels[i] ?? 0]]));
  return withSizes(machine, (fn, subject, { size, resizable }) =>
    typeof resizable?.to === 'bigint' ? resizable.to : (chosen.get(`${subject} ${fn.id}`) ?? size),
  );
}

/** The machine with other sizes of its resizable BARs. */
export function withSizes(
  machine: Machine,
  sizeOf: (fn: MachineFunction, subject: ConstraintSubject, bar: Bar) => Size,
): Machine {
  return withFunctions(machine, (fn) => {
    if (resizableOf(fn).length === 0) return [fn];
    const resize = (isVf: boolean) => (bar: Bar) =>
      bar.resizable
        ? { ...bar, size: sizeOf(fn, subjectOf(bar, isVf), bar), resizable: { ...bar.resizable, to: 'keep' as const } }
        : bar;
    const { sriov } = fn;
    return [
      {
        ...fn,
        bars: fn.bars.map(resize(false)),
        ...(sriov ? { sriov: { ...sriov, bars: sriov.bars.map(resize(true)) } } : {}),
      },
    ];
  });
}

/**
 * Levels that work, none of which can rise while the others stay as they are. All rise together as long as that works, then
 * those that still can, in bus order: of devices that are alike none gets the most while another gets the least.
 *
 * What fits at one size fits at every smaller one, so what has once failed to rise stays.
 * @param works asked of levels that lie above ones that work
 */
export function raise(wishes: readonly Wish[], works: (levels: Levels) => boolean): Levels {
  let levels: Levels = wishes.map(() => 0);
  const tops = wishes.map(({ sizes }) => sizes.length - 1);
  let open = wishes.map((_, i) => i).filter((i) => (tops[i] ?? 0) > 0);
  while (open.length > 0) {
    const together = levels.map((level, i) => (open.includes(i) ? level + 1 : level));
    if (open.length > 1 && works(together)) levels = together;
    else {
      open = open.filter((i) => {
        const next = levels.with(i, (levels[i] ?? 0) + 1);
        const isBetter = works(next);
        if (isBetter) levels = next;
        return isBetter;
      });
    }
    open = open.filter((i) => (levels[i] ?? 0) < (tops[i] ?? 0));
  }
  return levels;
}

export interface Solvers {
  /** The plan, or why there is none. */
  readonly decide: (machine: Machine) => PlanResult;
  /** With less effort. Null: there is no plan; undefined: not known. */
  readonly attempt: (machine: Machine) => Plan | null | undefined;
}

/**
 * The result for a machine that {@link asksToResize}: with the largest sizes that fit, or a conflict of the smallest ones.
 * @param finish gives the result for the sizes that were chosen
 */
export function placeResizable(
  machine: Machine,
  { decide, attempt, finish }: Solvers & { readonly finish: Solvers['decide'] },
): PlanResult {
  const wishes = wishesOf(machine);
  const at = (levels: Levels) => sized(machine, wishes, levels);
  let levels: Levels = wishes.map(({ sizes }) => sizes.length - 1);
  if (!attempt(at(levels))) {
    const least = decide(at(wishes.map(() => 0)));
    if (least.status === 'infeasible') return sayingSmallest(least, wishes);
    if (least.status === 'undecided') return least;
    levels = raise(wishes, (higher) => Boolean(attempt(at(higher))));
  }
  const found = finish(at(levels));
  return found.status === 'placed' ? noteSizes(found, machine) : found;
}

function sayingSmallest(result: Infeasible, wishes: readonly Wish[]): Infeasible {
  const { conflict } = result;
  const isMeant = conflict.constraints.some(({ id, bar }) =>
    wishes.some(({ fn, subject }) => fn.id === id && subject === bar),
  );
  if (!isMeant) return result;
  const summary = `${conflict.summary} Resizable BARs are taken at their smallest sizes here.`;
  return { ...result, conflict: { ...conflict, summary } };
}

/** The plan of a resized machine, with the sizes that its BARs had before. */
function noteSizes(plan: Plan, before: Machine): Plan {
  const sizes = new Map<string, Size>();
  for (const host of before.hostBridges) {
    for (const { fn } of eachFunction(host.functions)) {
      for (const { bar, subject } of resizableOf(fn)) sizes.set(`${subject} ${fn.id}`, bar.size);
    }
  }
  const noted = <T extends PlannedBar>(id: string, bar: T, subject: ConstraintSubject): T => {
    const was = sizes.get(`${subject} ${id}`);
    return was === undefined || was === bar.size ? bar : { ...bar, resizedFrom: was };
  };
  const functions = plan.functions.map((fn): PlannedFunction => {
    const { id, bars, sriov } = fn;
    return {
      ...fn,
      bars: bars.map((bar) => noted(id, bar, bar.index)),
      ...(sriov ? { sriov: { bars: sriov.bars.map((bar) => noted(id, bar, `vf${bar.index}`)) } } : {}),
    };
  });
  return { ...plan, functions };
}
