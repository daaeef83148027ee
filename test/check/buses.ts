import type { Machine, MachineFunction } from '../../src/machine/model.js';
import type { Plan } from '../../src/place/plan.js';
import type { Checked } from './checked.js';

const devfn = (fn: MachineFunction) => (fn.slot.device * 8 + fn.slot.fn) % 256;

/** The buses that this function's VFs answer on, its own left out. */
function vfBuses(fn: MachineFunction, bus: number): number[] {
  const { totalVfs = 0, firstVfOffset = 0, vfStride = 0 } = fn.sriov ?? {};
  const all = Array.from({ length: totalVfs }, (_, n) =>
    Math.floor((bus * 256 + devfn(fn) + firstVfOffset + n * vfStride) / 256),
  );
  return [...new Set(all)].filter((own) => own !== bus);
}

/** Bus numbers: nesting, order, VFs, room for hotplug, pins, the host bridges' ranges. */
export function checkBuses(machine: Machine, plan: Plan, roots: Checked[][], say: (text: string) => void): void {
  const taken: { segment: number; first: number; last: number; id: string }[] = [];
  machine.hostBridges.forEach((host, i) => {
    const planned = plan.hostBridges[i]!;
    const [first, last] = planned.buses;
    if (first !== host.buses[0]) say(`${host.id}: its root bus is ${first}, not ${host.buses[0]}`);
    if (last > host.buses[1] || last < first) say(`${host.id}: buses ${first} to ${last} leave its range`);
    for (const other of taken) {
      if (other.segment === host.segment && first <= other.last && other.first <= last)
        say(`${host.id} and ${other.id} use the same bus numbers`);
    }
    taken.push({ segment: host.segment, first, last, id: host.id });
    checkBus(roots[i]!, host.segment, first, last, 0, host.id, say);
    if (!anyPinned(roots[i]!)) checkSlotOrder(roots[i]!, say);
  });
}

const anyPinned = (list: readonly Checked[]): boolean =>
  list.some(
    ({ fn, children }) =>
      fn.bridge?.pin.secondary !== undefined || fn.bridge?.pin.subordinate !== undefined || anyPinned(children),
  );

function checkSlotOrder(list: readonly Checked[], say: (text: string) => void): void {
  const bridges = list.filter(({ bridge }) => bridge).sort((a, b) => devfn(a.fn) - devfn(b.fn));
  bridges.forEach((one, i) => {
    const before = bridges[i - 1];
    if (before && before.bridge!.secondary > one.bridge!.secondary)
      say(`${one.fn.id}: its bus number is below that of ${before.fn.id}, in an earlier slot`);
  });
  for (const { children } of list) checkSlotOrder(children, say);
}

/** One bus, numbered `bus`, under a bridge that routes up to `last`. */
function checkBus(
  list: readonly Checked[],
  segment: number,
  bus: number,
  last: number,
  reserve: number,
  id: string,
  say: (text: string) => void,
): void {
  const users = new Map<number, string>([[bus, id]]);
  const use = (number: number, who: string) => {
    if (number <= bus || number > last)
      say(`${who}: bus ${number} is not behind ${id}, which routes ${bus} to ${last}`);
    const other = users.get(number);
    if (other !== undefined && other !== who) say(`${who}: bus ${number} is taken by ${other}`);
    users.set(number, who);
  };
  // VFs of several functions may share a bus; a bridge's range may not.
  for (const { fn, planned } of list) {
    const { address } = planned;
    if (address.segment !== segment || address.bus !== bus) say(`${fn.id}: not on bus ${bus} of segment ${segment}`);
    if (address.device !== fn.slot.device || address.fn !== fn.slot.fn) say(`${fn.id}: not in its slot`);
    for (const number of vfBuses(fn, bus)) use(number, `VFs on bus ${bus}`);
  }
  for (const { fn, bridge, children } of list) {
    if (!bridge || !fn.bridge) continue;
    const { primary, secondary, subordinate } = bridge;
    if (primary !== bus) say(`${fn.id}: primary bus ${primary}, but it sits on bus ${bus}`);
    if (subordinate < secondary) say(`${fn.id}: subordinate below secondary`);
    const a = bridge.address;
    if (a.bus !== bus || a.segment !== segment || a.device !== fn.slot.device || a.fn !== fn.slot.fn)
      say(`${fn.id}: bridge entry at another address`);
    const { pin } = fn.bridge;
    if (pin.secondary !== undefined && pin.secondary !== secondary) say(`${fn.id}: secondary is not ${pin.secondary}`);
    if (pin.subordinate !== undefined && pin.subordinate !== subordinate)
      say(`${fn.id}: subordinate is not ${pin.subordinate}`);
    for (let number = secondary; number <= subordinate; number++) use(number, fn.id);
    checkBus(children, segment, secondary, subordinate, fn.bridge.reserve.buses, fn.id, say);
  }
  let run = 0;
  let longest = 0;
  for (let number = bus + 1; number <= last; number++) {
    run = users.has(number) ? 0 : run + 1;
    longest = Math.max(longest, run);
  }
  if (longest < reserve) say(`${id}: room for ${longest} more buses, ${reserve} reserved`);
}
