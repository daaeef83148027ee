import { ascending } from '../address/align.js';
import { eachFunction, type Bar, type Machine } from '../machine/model.js';
import type { Plan, PlannedBar, PlanResult } from './plan.js';
import type { Solvers } from './resize.js';
import { heldTo, isBus, isWindow, staysOf, type Stay } from './stay.js';

/**
 * A plan of `machine` that leaves as much as it can where `earlier` has it: nothing that moves could have stayed while what
 * stays does so. Bus numbers count most, for all else is named by them, then large things, then small ones. Bridge windows
 * follow what is in them; only those that keep room for hotplug stay for its sake.
 */
export function keeping(machine: Machine, earlier: Plan, { decide, attempt }: Solvers): PlanResult {
  const rank = (stay: Stay) => (isBus(stay) ? 0 : isWindow(stay) ? 2 : 1);
  const roomy = roomyWindows(machine);
  const held = staysOf(machine, earlier).filter((stay) => !isWindow(stay) || roomy.has(`${stay.subject} ${stay.id}`));
  const stays = held.sort((a, b) => rank(a) - rank(b) || ascending(b.size, a.size));
  const whole = attempt(heldTo(machine, stays));
  if (whole) return asAsked(whole, machine);
  const free = decide(machine);
  if (free.status !== 'placed' || stays.length < 2) return free;
  let kept: readonly Stay[] = [];
  let best = free;
  const keep = (some: readonly Stay[]): void => {
    if (some.length === 0) return;
    const plan = attempt(heldTo(machine, [...kept, ...some]));
    if (plan) {
      kept = [...kept, ...some];
      best = plan;
    } else if (some.length > 1) {
      const half = some.length >> 1;
      keep(some.slice(0, half));
      keep(some.slice(half));
    }
  };
  const half = stays.length >> 1;
  keep(stays.slice(0, half));
  keep(stays.slice(half));
  return asAsked(best, machine);
}

/** The windows of bridges that keep room for hotplug. */
const roomyWindows = (machine: Machine): Set<string> =>
  new Set(
    machine.hostBridges.flatMap(({ functions }) =>
      [...eachFunction(functions)].flatMap(({ fn: { id, bridge } }) =>
        (['io', 'memory', 'prefetchable'] as const).flatMap((kind) =>
          bridge && bridge.reserve[kind] > 0n ? [`${kind} ${id}`] : [],
        ),
      ),
    ),
  );

/** The plan with that marked as pinned which the machine says is. */
function asAsked(plan: Plan, machine: Machine): Plan {
  const functions = new Map(
    machine.hostBridges.flatMap((host) => [...eachFunction(host.functions)].map(({ fn }) => [fn.id, fn] as const)),
  );
  const marked = <T extends PlannedBar>(bars: readonly T[], asked: readonly Bar[] | undefined): T[] =>
    bars.map((bar) => ({ ...bar, pinned: asked?.find(({ index }) => index === bar.index)?.pin !== undefined }));
  return {
    ...plan,
    functions: plan.functions.map((fn) => {
      const asked = functions.get(fn.id);
      return {
        ...fn,
        bars: marked(fn.bars, asked?.bars),
        ...(fn.rom ? { rom: { ...fn.rom, pinned: asked?.rom?.pin !== undefined } } : {}),
        ...(fn.sriov ? { sriov: { bars: marked(fn.sriov.bars, asked?.sriov?.bars) } } : {}),
      };
    }),
  };
}
