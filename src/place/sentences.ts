import { hex } from '../address/format.js';
import type { Machine, MachineFunction } from '../machine/model.js';
import { busArgument, leastBuses, rangeText } from './argue-buses.js';
import { hullArgument } from './argue-hulls.js';
import { pinArgument } from './argue-pins.js';
import { roomArgument } from './argue-room.js';
import { totalArgument } from './argue-totals.js';
import type { Background } from './background.js';
import { vfBuses } from './bus-numbers.js';
import type { Claim, FunctionClaim } from './claims.js';
import type { Core } from './conflict.js';
import { Evidence } from './evidence.js';
import { Excerpts } from './excerpt.js';
import { amount, capital, counted, listed, nameOf, reservedName, spanOf, windowKind } from './names.js';
import { Sites } from './needs.js';
import type { Constraint } from './plan.js';

/** The core as data: what is asked for first, then what the machine is like. */
export function constraintsOf(machine: Machine, core: Core): Constraint[] {
  return constraints(machine, core).map((one) => ({ ...one, detail: capital(one.detail) }));
}

function constraints(machine: Machine, core: Core): Constraint[] {
  return [
    ...core.claims.map((claim) => ofClaim(machine, claim, core)),
    ...core.background.map((one) => ofBackground(machine, one, core)),
  ];
}

function ofClaim(machine: Machine, claim: Claim, core: Core): Constraint {
  if (claim.kind === 'reserved') {
    const detail = `${reservedName(claim)} has to stay free of PCI`;
    return { kind: 'reserved', base: claim.range.base, detail };
  }
  const { kind, fn, subject } = claim;
  const detail = core.field === 'buses' ? busDetail(machine, claim) : addressDetail(machine, claim, core.field);
  return { kind, id: fn.id, ...(subject === undefined ? {} : { bar: subject }), detail };
}

function addressDetail(machine: Machine, claim: FunctionClaim, field: 'memory' | 'io'): string {
  const needs = new Sites(machine).needsOf([claim], field);
  return listed(
    needs.map(({ name, size, align, pin }) => {
      if (pin) return `${name} is pinned to ${spanOf(pin)}`;
      return `${name} needs ${amount(size)}${align === 1n ? ' in one piece' : ` at an address that is a multiple of ${hex(align)}`}`;
    }),
  );
}

function busDetail(machine: Machine, { fn, subject }: FunctionClaim): string {
  if (subject === 'secondary' || subject === 'subordinate')
    return `${nameOf(fn, subject)} is pinned to ${fn.bridge?.pin[subject] ?? ''}`;
  if (subject === 'reserve')
    return `${fn.id} keeps ${counted(fn.bridge?.reserve.buses ?? 0, 'bus number')} free for hotplug`;
  if (!fn.bridge) {
    const buses = counted(vfBuses([fn]).length, 'bus number');
    const vfs = fn.sriov?.totalVfs ?? 0;
    return `${counted(vfs, 'VF')} of ${fn.id} ${vfs === 1 ? 'answers' : 'answer'} on ${buses} besides its own`;
  }
  const least = leastBuses(fn);
  const above = new Sites(machine).above(fn).map(({ id }) => id);
  const behind = above.length > 0 ? `, behind ${listed(above.reverse())},` : '';
  if (least === 1) return `${fn.id}${behind} is a bridge and needs a bus number for what is behind it`;
  return `${fn.id}${behind} and what is behind it need ${counted(least, 'bus number')}`;
}

function ofBackground(machine: Machine, one: Background, core: Core): Constraint {
  switch (one.kind) {
    case 'window': {
      const { type, base, size } = one.window;
      const range = `runs from ${hex(base)} to ${hex(base + size - 1n)}`;
      return {
        kind: 'window',
        id: one.host.id,
        type,
        base,
        detail: `the ${windowKind(type)} of ${one.host.id} ${range}`,
      };
    }
    case 'bridge':
      return { kind: 'bridge', id: one.fn.id, detail: bridgeDetail(one.fn, core) };
    case 'bus-range':
      return { kind: 'bus-range', id: one.host.id, detail: rangeText(machine, one.host) };
    case 'address-bits':
      return {
        kind: 'address-bits',
        detail: `the CPU has ${one.bits} address bits: nothing lies above ${hex((1n << BigInt(one.bits)) - 1n)}`,
      };
    default:
      return one satisfies never;
  }
}

function bridgeDetail({ id, bridge }: MachineFunction, { field }: Core): string {
  const { io = 32, prefetchable = 64 } = bridge ?? {};
  if (field === 'io')
    return `${id} has ${io === 0 ? 'no I/O window' : `one I/O window, of ${io} bits, around all I/O behind it`}`;
  const second = prefetchable === 0 ? 'no prefetchable one' : `a prefetchable one of ${prefetchable} bits`;
  return `${id} has a memory window of 32 bits and ${second}; each is one piece around all that is in it`;
}

/** The conflict in one paragraph, with the numbers that a person can check. */
export function summaryOf(machine: Machine, core: Core): string {
  return argumentFor(machine, core) ?? generalSummary(machine, core);
}

/** Why the claims of a core cannot hold together; null where that takes a search to see. */
export function argumentFor(machine: Machine, { field, claims }: Pick<Core, 'field' | 'claims'>): string | null {
  if (field === 'buses') return busArgument(machine, new Excerpts(machine).of(claims));
  const evidence = new Evidence(machine, field, claims);
  return pinArgument(evidence)?.text ?? hullArgument(evidence) ?? roomArgument(evidence) ?? totalArgument(evidence);
}

function generalSummary(machine: Machine, core: Core): string {
  const details = constraints(machine, core).map(({ detail }) => detail);
  const order = core.field === 'buses' ? 'numbering' : 'order of allocation';
  return `${capital(details.join('; '))}. An exact search through every ${order} finds none in which these hold together.`;
}
