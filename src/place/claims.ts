import type { AddressRange } from '../address/range.js';
import type { Bar, Machine, MachineFunction } from '../machine/model.js';
import type { ConstraintSubject } from './plan.js';

/** What a conflict is looked for in: the three are solved apart. */
export type Field = 'buses' | 'memory' | 'io';

/**
 * One thing that a machine asks for and that could be left out. A pin says that its subject is there, too; `size` is a
 * subject that may lie anywhere, or without a subject all that the function asks for and all that is below it; `reserved`
 * is a range that nothing may use.
 */
export type Claim = FunctionClaim | ReservedClaim;

export interface FunctionClaim {
  readonly kind: 'pin' | 'size';
  /** Index of the host bridge in the machine. */
  readonly host: number;
  readonly fn: MachineFunction;
  readonly subject?: ConstraintSubject;
}

export interface ReservedClaim {
  readonly kind: 'reserved';
  readonly range: AddressRange;
  /** Undefined: it is RAM. */
  readonly reason: string | undefined;
}

export type Kind = FunctionClaim['kind'];
type Add = (fn: MachineFunction, subject: ConstraintSubject | undefined, kind: Kind, size: bigint) => void;

/** Every claim of the machine in one field; those that explain most come first. */
export function claimsOf(machine: Machine, field: Field): Claim[] {
  const pins: Claim[] = [];
  const sizes: { claim: Claim; size: bigint }[] = [];
  machine.hostBridges.forEach((bridge, host) => {
    const add: Add = (fn, subject, kind, size) => {
      const claim: Claim = { kind, host, fn, ...(subject === undefined ? {} : { subject }) };
      if (kind === 'pin') pins.push(claim);
      else sizes.push({ claim, size });
    };
    const walk = (functions: readonly MachineFunction[]) => {
      for (const fn of functions) {
        if (field === 'buses') busClaims(fn, add);
        else addressClaims(fn, field, add);
        if (fn.bridge) walk(fn.bridge.functions);
      }
    };
    walk(bridge.functions);
  });
  sizes.sort((a, b) => (a.size > b.size ? -1 : a.size < b.size ? 1 : 0));
  const reserved = field === 'memory' ? reservedClaims(machine) : [];
  return [...pins, ...sizes.map(({ claim }) => claim), ...reserved];
}

/** Bridges with a bridge below need no word of their own: what is below cannot be there without them. */
function busClaims(fn: MachineFunction, add: Add): void {
  const { bridge } = fn;
  const pins = (['secondary', 'subordinate'] as const).filter((subject) => bridge?.pin[subject] !== undefined);
  for (const subject of pins) add(fn, subject, 'pin', 1n);
  if (bridge && bridge.reserve.buses > 0) add(fn, 'reserve', 'size', BigInt(bridge.reserve.buses));
  const isLeaf = bridge?.functions.every((below) => !below.bridge) ?? false;
  if (isLeaf) add(fn, undefined, 'size', 1n);
  else if ((fn.sriov?.totalVfs ?? 0) > 0) add(fn, undefined, 'size', 0n);
}

function addressClaims(fn: MachineFunction, field: 'memory' | 'io', add: Add): void {
  const inField = (bar: Bar) => (bar.type === 'io') === (field === 'io');
  const kindOf = ({ pin }: { readonly pin?: bigint }): Kind => (pin === undefined ? 'size' : 'pin');
  for (const bar of fn.bars) if (inField(bar)) add(fn, bar.index, kindOf(bar), bar.size);
  if (fn.rom && field === 'memory') add(fn, 'rom', kindOf(fn.rom), fn.rom.size);
  const vfs = BigInt(fn.sriov?.totalVfs ?? 0);
  if (vfs > 0n) {
    for (const bar of fn.sriov?.bars ?? []) if (inField(bar)) add(fn, `vf${bar.index}`, kindOf(bar), bar.size * vfs);
  }
  if (!fn.bridge) return;
  const { pin, reserve } = fn.bridge;
  const kinds = field === 'io' ? (['io'] as const) : (['memory', 'prefetchable'] as const);
  for (const kind of kinds) if (pin[kind]) add(fn, kind, 'pin', pin[kind].size);
  const room = kinds.reduce((sum, kind) => sum + reserve[kind], 0n);
  if (room > 0n) add(fn, 'reserve', 'size', room);
}

/** What nothing may lie on: reserved ranges and RAM. A conflict knows them by their base: of several one stands for all. */
export function reservedClaims(machine: Machine): ReservedClaim[] {
  const all: ReservedClaim[] = [
    ...machine.reserved.map(({ range, reason }): ReservedClaim => ({ kind: 'reserved', range, reason })),
    ...machine.ram.map((range): ReservedClaim => ({ kind: 'reserved', range, reason: undefined })),
  ];
  const byBase = new Map<bigint, ReservedClaim>();
  for (const claim of all) {
    const known = byBase.get(claim.range.base);
    if (!known || known.range.limit < claim.range.limit) byBase.set(claim.range.base, claim);
  }
  return [...byBase.values()];
}
