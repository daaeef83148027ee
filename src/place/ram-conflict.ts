import { formatSize, hex } from '../address/format.js';
import type { Machine } from '../machine/model.js';
import { ramLayouts, type RamFault, type RamLayout } from '../machine/ram-layout.js';
import type { Solve } from './candidate.js';
import type { Constraint, Infeasible, Remedy } from './plan.js';

/** RAM is where it is before anything is placed: where it cannot be there, no placement helps. */
export function explainRam(machine: Machine, fault: RamFault, solve: Solve | undefined): Infeasible {
  return {
    status: 'infeasible',
    conflict: { summary: summaryOf(fault), constraints: constraintsOf(fault) },
    remedies: solve ? remedies(machine, fault, solve) : [],
  };
}

function summaryOf(fault: RamFault): string {
  const { ram } = fault;
  const has = `The machine has RAM at ${ram.toString()} (${formatSize(ram.size)})`;
  if (fault.kind === 'address-bits') {
    return `${has}, and ${fault.bits} physical address bits end at ${hex((1n << BigInt(fault.bits)) - 1n)}: RAM past that cannot be reached, wherever BARs lie.`;
  }
  const { range, reason } = fault.reserved;
  const shared = ram.meet(range) ?? range;
  const what = shared.equals(range) ? range.toString() : `${shared.toString()} of ${range.toString()}`;
  const from = range.base > ram.base ? `: it may end at ${hex(range.base - 1n)}` : '';
  const above = ram.limit > range.limit ? `${from ? ' and' : ': it may'} go on at ${hex(range.limit + 1n)}` : '';
  return `${has}, which covers ${what}, reserved: ${reason}. Guest RAM has to keep off it, wherever BARs lie${from}${above}.`;
}

/** What constraints know of both ranges is their base: where it is the same, one of them says both. */
function constraintsOf(fault: RamFault): Constraint[] {
  const [ram, other] = [ramConstraint(fault), cause(fault)];
  return other.base === ram.base ? [{ ...ram, detail: `${ram.detail}, and ${other.detail}` }] : [ram, other];
}

const ramConstraint = ({ ram }: RamFault): Constraint => ({
  kind: 'reserved',
  base: ram.base,
  detail: `${ram.toString()} is RAM`,
});

function cause(fault: RamFault): Constraint {
  if (fault.kind === 'address-bits') {
    const last = (1n << BigInt(fault.bits)) - 1n;
    return { kind: 'address-bits', detail: `the CPU has ${fault.bits} address bits: nothing lies above ${hex(last)}` };
  }
  const { range, reason } = fault.reserved;
  return { kind: 'reserved', base: range.base, detail: `${range.toString()} is reserved: ${reason}` };
}

function remedies(machine: Machine, fault: RamFault, solve: Solve): Remedy[] {
  return [...ramLayouts(machine, fault), ...withoutCause(machine, fault)]
    .filter((layout) => solve(layout.machine))
    .map(({ change }) => ({ change, verified: true }));
}

function withoutCause(machine: Machine, fault: RamFault): RamLayout[] {
  if (fault.kind === 'address-bits') {
    const bits = fault.ram.limit.toString(2).length;
    const change = `use a CPU with ${bits} physical address bits instead of ${fault.bits}`;
    return [{ change, machine: { ...machine, physicalAddressBits: bits } }];
  }
  const { range, reason } = fault.reserved;
  const change = `give up the reserved range ${range.toString()} (${reason}), if no passed-through device needs it`;
  return [{ change, machine: { ...machine, reserved: machine.reserved.filter((one) => one !== fault.reserved) } }];
}
