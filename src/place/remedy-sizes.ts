import { formatSize } from '../address/format.js';
import type { Bar, Machine, MachineFunction } from '../machine/model.js';
import { noReserve } from '../machine/model.js';
import { withBridge, withFunction } from './changes.js';
import type { FunctionClaim } from './claims.js';
import type { Core } from './conflict.js';
import { isFunctionClaim, nameOf } from './names.js';
import type { Attempt } from './candidate.js';

/** The smallest memory BAR worth naming. */
const LEAST = 4096n;

/** What the conflict asks for, asked for in a smaller size or in another form. */
export function* sizeRemedies(machine: Machine, core: Core): Iterable<Attempt> {
  const claims = core.claims.filter(isFunctionClaim);
  for (const claim of claims) if (claim.subject === 'reserve') yield lessRoom(machine, claim);
  for (const claim of claims) if (claim.subject?.toString().startsWith('vf')) yield fewerVfs(machine, claim.fn);
  // Which of many should shrink is for people to say: the largest two stand for the rest.
  for (const claim of claims
    .filter(({ subject, kind }) => typeof subject === 'number' && kind === 'size')
    .slice(0, 2)) {
    const bar = claim.fn.bars.find(({ index }) => index === claim.subject);
    if (!bar) continue;
    yield wider(machine, claim, bar);
    yield smaller(machine, claim, bar);
  }
}

function* lessRoom(machine: Machine, { fn }: FunctionClaim): Attempt {
  const reserve = fn.bridge?.reserve;
  if (!reserve) return;
  for (const shift of [1n, 2n, 3n]) {
    const less = {
      buses: reserve.buses >> Number(shift),
      io: reserve.io >> shift,
      memory: reserve.memory >> shift,
      prefetchable: reserve.prefetchable >> shift,
    };
    const parts = Object.entries(less).flatMap(([key, value]) =>
      value ? [`${key} ${typeof value === 'bigint' ? formatSize(value) : value}`] : [],
    );
    if (parts.length === 0) break;
    const change = `reserve less hotplug room behind ${fn.id}: ${parts.join(', ')}`;
    yield { change, machine: withBridge(machine, fn.id, (bridge) => ({ ...bridge, reserve: less })) };
  }
  const change = `reserve no hotplug room behind ${fn.id}`;
  yield { change, machine: withBridge(machine, fn.id, (bridge) => ({ ...bridge, reserve: noReserve })) };
}

function* fewerVfs(machine: Machine, fn: MachineFunction): Attempt {
  const sriov = fn.sriov;
  if (!sriov) return;
  const counts = new Set<number>();
  for (let part = 7; part > 0; part--) counts.add(Math.floor((sriov.totalVfs * part) / 8));
  for (let count = sriov.totalVfs >> 3; count > 0; count >>= 1) counts.add(count);
  for (const totalVfs of [...counts].filter((count) => count > 0 && count < sriov.totalVfs)) {
    const change = `give ${fn.id} ${totalVfs} ${totalVfs === 1 ? 'VF' : 'VFs'} instead of ${sriov.totalVfs}`;
    yield { change, machine: withFunction(machine, fn.id, (one) => ({ ...one, sriov: { ...sriov, totalVfs } })) };
  }
}

/** A 32-bit memory BAR as a 64-bit prefetchable one, where the next register is free for its upper half. */
function* wider(machine: Machine, { fn }: FunctionClaim, bar: Bar): Attempt {
  const last = fn.bridge ? 1 : 5;
  if (bar.type !== 'mem32' || bar.index >= last || fn.bars.some(({ index }) => index === bar.index + 1)) return;
  const wide: Bar = { ...bar, type: 'mem64', prefetchable: true };
  const change = `make ${nameOf(fn, bar.index)} a 64-bit prefetchable BAR, if the device is yours to change`;
  yield { change, machine: withBar(machine, fn, wide) };
}

function* smaller(machine: Machine, { fn }: FunctionClaim, bar: Bar): Attempt {
  if (bar.type === 'io') return;
  for (let size = bar.size >> 1n; size >= LEAST && size >= bar.size >> 12n; size >>= 1n) {
    const change = `make ${nameOf(fn, bar.index)} at most ${formatSize(size)} instead of ${formatSize(bar.size)} (a resizable BAR, or another build of the device)`;
    yield { change, machine: withBar(machine, fn, { ...bar, size }) };
  }
}

const withBar = (machine: Machine, fn: MachineFunction, changed: Bar): Machine =>
  withFunction(machine, fn.id, (one) => ({
    ...one,
    bars: one.bars.map((bar) => (bar.index === changed.index ? changed : bar)),
  }));
