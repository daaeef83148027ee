import { ascending } from '../address/align.js';
import { formatSize } from '../address/format.js';
import type { Bar, Bridge, Machine, MachineFunction, Reserve } from '../machine/model.js';
import type { Attempt, Candidate } from './candidate.js';
import { firstOf, largestOf, leastOf } from './candidate.js';
import { withBridge, withFunction } from './changes.js';
import type { FunctionClaim } from './claims.js';
import type { Core } from './conflict.js';
import { granules } from './item.js';
import { amount, counted, isFunctionClaim, kindName, listed, nameOf } from './names.js';
import { withSizes } from './resize.js';

/** The smallest memory BAR worth naming. */
const LEAST = 4096n;

/** What the conflict asks for, asked for in a smaller size or in another form. */
export function* sizeRemedies(machine: Machine, core: Core): Iterable<Attempt> {
  const claims = core.claims.filter(isFunctionClaim);
  for (const { fn, subject } of claims) {
    if (subject === 'reserve' && fn.bridge) yield* lessRoom(machine, fn, fn.bridge, core.field);
  }
  for (const fn of new Set(claims.filter((claim) => isOfVfs(claim, core)).map(({ fn }) => fn))) {
    yield fewerVfs(machine, fn);
  }
  yield leastOf([...smallerOffered(machine, claims)]);
  // Which of many should shrink is for people to say: the largest two stand for the rest.
  for (const claim of claims
    .filter(({ subject, kind }) => typeof subject === 'number' && kind === 'size')
    .slice(0, 2)) {
    const bar = claim.fn.bars.find(({ index }) => index === claim.subject);
    if (!bar || bar.resizable) continue;
    yield firstOf(wider(machine, claim, bar));
    yield leastOf([...smaller(machine, claim, bar)]);
  }
}

const isOfVfs = ({ fn, subject }: FunctionClaim, { field }: Core): boolean =>
  (fn.sriov?.totalVfs ?? 0) > 0 && (field === 'buses' ? subject === undefined : String(subject).startsWith('vf'));

/** The most of each kind of room that works, the others as they are. */
function* lessRoom(
  machine: Machine,
  fn: MachineFunction,
  { reserve }: Bridge,
  field: Core['field'],
): Iterable<Attempt> {
  const withReserve = (less: Partial<Reserve>) =>
    withBridge(machine, fn.id, (bridge) => ({ ...bridge, reserve: { ...reserve, ...less } }));
  if (field === 'buses') {
    yield largestOf(BigInt(reserve.buses), (buses) => ({
      change: `keep ${buses === 0n ? 'no bus numbers' : counted(buses, 'bus number')} free for hotplug behind ${fn.id} instead of ${reserve.buses}`,
      machine: withReserve({ buses: Number(buses) }),
    }));
    return;
  }
  for (const kind of field === 'io' ? (['io'] as const) : (['memory', 'prefetchable'] as const)) {
    const step = granules[kind];
    const whole = reserve[kind] / step + (reserve[kind] % step > 0n ? 1n : 0n);
    yield largestOf(whole, (steps) => ({
      change: `keep ${steps === 0n ? 'no' : amount(steps * step)} ${kindName(kind)} room free for hotplug behind ${fn.id} instead of ${amount(reserve[kind])}`,
      machine: withReserve({ [kind]: steps * step }),
    }));
  }
}

function fewerVfs(machine: Machine, fn: MachineFunction): Attempt {
  const { sriov } = fn;
  if (!sriov) return () => null;
  return largestOf(BigInt(sriov.totalVfs), (count) => ({
    change: `give ${fn.id} ${count === 0n ? 'no VFs' : counted(count, 'VF')} instead of ${sriov.totalVfs}`,
    machine: withFunction(machine, fn.id, (one) => ({ ...one, sriov: { ...sriov, totalVfs: Number(count) } })),
  }));
}

/** A 32-bit memory BAR as a 64-bit prefetchable one, where the next register is free for its upper half. */
function* wider(machine: Machine, { fn }: FunctionClaim, bar: Bar): Iterable<Candidate> {
  const last = fn.bridge ? 1 : 5;
  if (bar.type !== 'mem32' || bar.index >= last || fn.bars.some(({ index }) => index === bar.index + 1)) return;
  const wide: Bar = { ...bar, type: 'mem64', prefetchable: true };
  const change = `make ${nameOf(fn, bar.index)} a 64-bit prefetchable BAR, if the device is yours to change`;
  yield { change, machine: withBar(machine, fn, wide) };
}

/** Resizable BARs at the sizes that they offer: none of them above a limit, the highest limit first. */
function* smallerOffered(machine: Machine, claims: readonly FunctionClaim[]): Iterable<Candidate> {
  const resizable = claims.flatMap(({ fn, subject }) => {
    const bar =
      typeof subject === 'number'
        ? fn.bars.find(({ index }) => index === subject)
        : fn.sriov?.bars.find(({ index }) => `vf${index}` === subject);
    return subject !== undefined && bar?.resizable && bar.size > (bar.resizable.sizes[0] ?? bar.size)
      ? [{ fn, subject, bar, ...bar.resizable }]
      : [];
  });
  const limits = [...new Set(resizable.flatMap(({ bar, sizes }) => sizes.filter((size) => size < bar.size)))];
  for (const limit of limits.sort((a, b) => ascending(b, a))) {
    const changes = new Map<string, { name: string; from: bigint; size: bigint }>();
    for (const { fn, subject, bar, sizes } of resizable) {
      const size = sizes.findLast((one) => one <= limit) ?? sizes[0] ?? bar.size;
      if (size < bar.size) changes.set(`${subject} ${fn.id}`, { name: nameOf(fn, subject), from: bar.size, size });
    }
    const each = [...changes.values()].map(
      ({ name, from, size }) => `${name} to ${formatSize(size)} instead of ${formatSize(from)}`,
    );
    yield {
      change: `resize ${listed(each)}, as the Resizable BAR capability offers`,
      machine: withSizes(machine, (fn, subject, bar) => changes.get(`${subject} ${fn.id}`)?.size ?? bar.size),
    };
  }
}

function* smaller(machine: Machine, { fn }: FunctionClaim, bar: Bar): Iterable<Candidate> {
  if (bar.type === 'io') return;
  for (let size = bar.size >> 1n; size >= LEAST && size >= bar.size >> 12n; size >>= 1n) {
    const change = `make ${nameOf(fn, bar.index)} at most ${formatSize(size)} instead of ${formatSize(bar.size)}, if the device is yours to change`;
    yield { change, machine: withBar(machine, fn, { ...bar, size }) };
  }
}

const withBar = (machine: Machine, fn: MachineFunction, changed: Bar): Machine =>
  withFunction(machine, fn.id, (one) => ({
    ...one,
    bars: one.bars.map((bar) => (bar.index === changed.index ? changed : bar)),
  }));
