import type { Machine, MachineFunction } from '../../machine/model.js';
import { Problem } from '../../problem/problem.js';

/**
 * qboot leaves BARs and bridge windows as they are, and numbers buses anew (pci.c): on each bus the bridges from the highest
 * device and function down, each with everything below it, without gaps. So these numbers are the plan's as well.
 * @throws Problem `bus-number-not-kept`, exit 1, where another was asked for
 */
export function numberLikeQboot(machine: Machine): Machine {
  return {
    ...machine,
    hostBridges: machine.hostBridges.map((host) => {
      let last = host.buses[0];
      const number = (functions: readonly MachineFunction[]): MachineFunction[] => {
        const numbered = new Map<MachineFunction, MachineFunction>();
        const descending = [...functions].sort((a, b) => b.slot.device - a.slot.device || b.slot.fn - a.slot.fn);
        for (const fn of descending) {
          if (!fn.bridge) continue;
          const secondary = ++last;
          const below = number(fn.bridge.functions);
          const { pin } = fn.bridge;
          keeps(fn.id, 'secondary', secondary, pin.secondary);
          keeps(fn.id, 'subordinate', last, pin.subordinate);
          const reserve = { ...fn.bridge.reserve, buses: 0 };
          const bridge = { ...fn.bridge, functions: below, reserve, pin: { ...pin, secondary, subordinate: last } };
          numbered.set(fn, { ...fn, bridge });
        }
        return functions.map((fn) => numbered.get(fn) ?? fn);
      };
      return { ...host, functions: number(host.functions) };
    }),
  };
}

/** Bridges for which bus numbers were to be kept free: qboot leaves none. */
export const busReserves = (machine: Machine): string[] => {
  const found: string[] = [];
  const look = (functions: readonly MachineFunction[]) => {
    for (const { id, bridge } of functions) {
      if (!bridge) continue;
      if (bridge.reserve.buses > 0) found.push(id);
      look(bridge.functions);
    }
  };
  for (const { functions } of machine.hostBridges) look(functions);
  return found;
};

function keeps(id: string, register: 'secondary' | 'subordinate', given: number, asked: number | undefined): void {
  if (asked === undefined || asked === given) return;
  throw new Problem(
    'bus-number-not-kept',
    `${id} is to have the ${register} bus number ${asked}, and qboot, which numbers buses itself, gives it ${given}`,
    {
      hint: 'leave bus numbers out of the machine file, or choose slots so that qboot’s order fits: on each bus from the highest slot down',
      facts: { id, register, asked, given },
    },
  );
}
