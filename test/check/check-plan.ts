import type { Bar, Machine, MachineFunction } from '../../src/machine/model.js';
import type { Plan, PlannedBar } from '../../src/place/plan.js';
import { checkAddresses } from './addresses.js';
import type { Checked } from './checked.js';
import { x } from './checked.js';
import { checkBuses } from './buses.js';

/*
 * The rules of placement, checked by hand: this code shares nothing with the solver but the types of its input and output,
 * and favours the obvious over the fast.
 */

/** Every rule that `plan` breaks, in words; empty where it is a valid plan of `machine`. */
export function checkPlan(machine: Machine, plan: Plan): string[] {
  const wrong: string[] = [];
  const say = (text: string) => wrong.push(text);
  const roots = match(machine, plan, say);
  if (wrong.length > 0) return wrong;
  checkContents(roots.flat(), say);
  checkBuses(machine, plan, roots, say);
  checkAddresses(machine, roots, say);
  return wrong;
}

/** The plan's entries beside the machine's, host bridge by host bridge. */
function match(machine: Machine, plan: Plan, say: (text: string) => void): Checked[][] {
  const functions = new Map(plan.functions.map((fn) => [fn.id, fn]));
  const bridges = new Map(plan.bridges.map((bridge) => [bridge.id, bridge]));
  let seen = 0;
  let bridgesSeen = 0;
  const walk = (list: readonly MachineFunction[], parent: Checked | null, host: number): Checked[] =>
    list.flatMap((fn) => {
      const planned = functions.get(fn.id);
      const bridge = bridges.get(fn.id) ?? null;
      if (!planned) return (say(`${fn.id} is missing`), []);
      if (Boolean(fn.bridge) !== Boolean(bridge)) return (say(`${fn.id}: is it a bridge or not?`), []);
      seen++;
      if (bridge) bridgesSeen++;
      const own: Checked = { fn, planned, parent, host, bridge, children: [] };
      own.children.push(...walk(fn.bridge?.functions ?? [], own, host));
      return [own];
    });
  const roots = machine.hostBridges.map((host, i) => walk(host.functions, null, i));
  if (seen !== plan.functions.length) say('the plan has functions that the machine has not, or the same one twice');
  if (bridgesSeen !== plan.bridges.length) say('the plan has bridges that the machine has not, or the same one twice');
  plan.hostBridges.forEach((host, i) => {
    const own = machine.hostBridges[i];
    if (host.id !== own?.id || host.segment !== own.segment) say(`host bridge ${host.id} is not the machine's`);
    if (host.windows !== own?.windows) say(`host bridge ${host.id}: its windows are not the machine's`);
  });
  if (plan.hostBridges.length !== machine.hostBridges.length) say('not as many host bridges as in the machine');
  const order = plan.functions.map(({ address: a }) => ((a.segment * 256 + a.bus) * 32 + a.device) * 8 + a.fn);
  if (order.some((value, i) => i > 0 && value <= (order[i - 1] ?? -1)))
    say('functions are not in order of bus address');
  return roots;
}

/** A BAR keeps its size, unless it is resizable and another is asked for; then the plan says what it was. */
function sizeIs({ size, resizable }: Bar, planned: PlannedBar): boolean {
  const to = resizable?.to ?? 'keep';
  const good =
    to === 'keep'
      ? planned.size === size
      : to === 'largest'
        ? resizable!.sizes.includes(planned.size)
        : planned.size === to;
  return good && planned.resizedFrom === (planned.size === size ? undefined : size);
}

/** Every BAR, ROM and VF BAR group is there as the machine has it, and where it is pinned to. */
function checkContents(all: readonly Checked[], say: (text: string) => void): void {
  for (const { fn, planned, children } of all) {
    if (planned.bars.length !== fn.bars.length) say(`${fn.id}: wrong number of BARs`);
    fn.bars.forEach((bar, i) => {
      const own = planned.bars[i];
      if (!own) return;
      const what = `${fn.id} BAR ${bar.index}`;
      if (
        own.index !== bar.index ||
        own.type !== bar.type ||
        own.prefetchable !== bar.prefetchable ||
        !sizeIs(bar, own)
      )
        say(`${what}: not the machine's BAR`);
      if (own.address < 0n || own.address % own.size !== 0n)
        say(`${what}: ${x(own.address)} is not aligned to ${x(own.size)}`);
      if (bar.pin !== undefined && own.address !== bar.pin)
        say(`${what}: pinned to ${x(bar.pin)}, lies at ${x(own.address)}`);
      if (own.pinned !== (bar.pin !== undefined)) say(`${what}: pinned or not?`);
    });
    if (Boolean(planned.rom) !== Boolean(fn.rom)) say(`${fn.id}: has it a ROM or not?`);
    if (planned.rom && fn.rom) {
      if (planned.rom.size !== fn.rom.size) say(`${fn.id} ROM: wrong size`);
      if (planned.rom.address % fn.rom.size !== 0n) say(`${fn.id} ROM: ${x(planned.rom.address)} is not aligned`);
      if (fn.rom.pin !== undefined && fn.rom.pin !== planned.rom.address) say(`${fn.id} ROM: not where it is pinned`);
      if (planned.rom.pinned !== (fn.rom.pin !== undefined)) say(`${fn.id} ROM: pinned or not?`);
    }
    const groups = (fn.sriov?.totalVfs ?? 0) > 0 ? (fn.sriov?.bars ?? []) : [];
    if ((planned.sriov?.bars.length ?? 0) !== groups.length) say(`${fn.id}: wrong number of VF BARs`);
    groups.forEach((bar, i) => {
      const own = planned.sriov?.bars[i];
      if (!own) return;
      const what = `${fn.id} VF BAR ${bar.index}`;
      if (
        own.index !== bar.index ||
        !sizeIs(bar, own) ||
        own.type !== bar.type ||
        own.prefetchable !== bar.prefetchable
      )
        say(`${what}: not the machine's`);
      if (own.count !== fn.sriov?.totalVfs) say(`${what}: ${own.count} VFs`);
      if (own.address % own.size !== 0n) say(`${what}: ${x(own.address)} is not aligned to ${x(own.size)}`);
      if (bar.pin !== undefined && own.address !== bar.pin)
        say(`${what}: pinned to ${x(bar.pin)}, lies at ${x(own.address)}`);
      if (own.pinned !== (bar.pin !== undefined)) say(`${what}: pinned or not?`);
    });
    checkContents(children, say);
  }
}
