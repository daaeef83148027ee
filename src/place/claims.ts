import type { AddressRange } from '../address/range.js';
import type { Bar, Bridge, BridgePins, HostBridge, Machine, MachineFunction } from '../machine/model.js';
import { noReserve } from '../machine/model.js';
import type { ConstraintSubject } from './plan.js';

/** What a conflict is looked for in: the three are solved apart. */
export type Field = 'buses' | 'memory' | 'io';

/**
 * One thing that a machine asks for and that could be left out. A pin says that its subject is there, too; `size` is a
 * subject that may lie anywhere, `reserved` a range that nothing may use.
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
  readonly reason: string;
}

/** Every claim of the machine in one field; those that explain most come first. */
export function claimsOf(machine: Machine, field: Field): Claim[] {
  const pins: Claim[] = [];
  const sizes: { claim: Claim; size: bigint }[] = [];
  const add = (
    host: number,
    fn: MachineFunction,
    subject: ConstraintSubject | undefined,
    pinned: boolean,
    size: bigint,
  ) => {
    const claim: Claim = { kind: pinned ? 'pin' : 'size', host, fn, ...(subject === undefined ? {} : { subject }) };
    if (pinned) pins.push(claim);
    else sizes.push({ claim, size });
  };
  machine.hostBridges.forEach((bridge, host) => {
    const walk = (functions: readonly MachineFunction[]) => {
      for (const fn of functions) {
        if (field === 'buses') busClaims(host, fn, add);
        else addressClaims(host, fn, field, add);
        if (fn.bridge) walk(fn.bridge.functions);
      }
    };
    walk(bridge.functions);
  });
  sizes.sort((a, b) => (a.size > b.size ? -1 : a.size < b.size ? 1 : 0));
  const reserved = field === 'memory' ? reservedClaims(machine) : [];
  return [...pins, ...sizes.map(({ claim }) => claim), ...reserved];
}

type Add = (
  host: number,
  fn: MachineFunction,
  subject: ConstraintSubject | undefined,
  pinned: boolean,
  size: bigint,
) => void;

function busClaims(host: number, fn: MachineFunction, add: Add): void {
  if ((fn.sriov?.totalVfs ?? 0) > 0) add(host, fn, 'vf0', false, 0n);
  const { bridge } = fn;
  if (!bridge) return;
  if (bridge.pin.secondary === undefined && bridge.pin.subordinate === undefined) add(host, fn, undefined, false, 1n);
  for (const subject of ['secondary', 'subordinate'] as const) {
    if (bridge.pin[subject] !== undefined) add(host, fn, subject, true, 1n);
  }
  if (bridge.reserve.buses > 0) add(host, fn, 'reserve', false, BigInt(bridge.reserve.buses));
}

function addressClaims(host: number, fn: MachineFunction, field: 'memory' | 'io', add: Add): void {
  const inField = (bar: Bar) => (bar.type === 'io') === (field === 'io');
  for (const bar of fn.bars) if (inField(bar)) add(host, fn, bar.index, bar.pin !== undefined, bar.size);
  if (fn.rom && field === 'memory') add(host, fn, 'rom', fn.rom.pin !== undefined, fn.rom.size);
  const vfs = BigInt(fn.sriov?.totalVfs ?? 0);
  if (vfs > 0n) {
    for (const bar of fn.sriov?.bars ?? [])
      if (inField(bar)) add(host, fn, `vf${bar.index}`, bar.pin !== undefined, bar.size * vfs);
  }
  if (!fn.bridge) return;
  const { pin, reserve } = fn.bridge;
  const kinds = field === 'io' ? (['io'] as const) : (['memory', 'prefetchable'] as const);
  for (const kind of kinds) if (pin[kind]) add(host, fn, kind, true, pin[kind].size);
  const room = kinds.reduce((sum, kind) => sum + reserve[kind], 0n);
  if (room > 0n) add(host, fn, 'reserve', false, room);
}

/** What nothing may lie on; RAM's reason is `RAM`. */
export const reservedClaims = (machine: Machine): ReservedClaim[] => [
  ...machine.reserved.map(({ range, reason }): ReservedClaim => ({ kind: 'reserved', range, reason })),
  ...machine.ram.map((range): ReservedClaim => ({ kind: 'reserved', range, reason: 'RAM' })),
];

/** The machine with nothing but `claims` in it, its windows, bridges, bus ranges and address bits as they are. */
export function restrict(machine: Machine, field: Field, claims: readonly Claim[]): Machine {
  const kept = new Map<MachineFunction, Map<ConstraintSubject | undefined, FunctionClaim['kind']>>();
  const ranges = new Set<AddressRange>();
  for (const claim of claims) {
    if (claim.kind === 'reserved') {
      ranges.add(claim.range);
      continue;
    }
    const own = kept.get(claim.fn);
    if (own) own.set(claim.subject, claim.kind);
    else kept.set(claim.fn, new Map([[claim.subject, claim.kind]]));
  }
  const functions = (list: readonly MachineFunction[]): MachineFunction[] =>
    list.flatMap((fn) => {
      const own = kept.get(fn);
      const below = fn.bridge ? functions(fn.bridge.functions) : [];
      if (!own && below.length === 0) return [];
      return [field === 'buses' ? forBuses(fn, own, below) : forAddresses(fn, own, below)];
    });
  return {
    ...machine,
    reserved: machine.reserved.filter(({ range }) => ranges.has(range)),
    ram: machine.ram.filter((range) => ranges.has(range)),
    hostBridges: machine.hostBridges.map((host): HostBridge => ({ ...host, functions: functions(host.functions) })),
  };
}

type Own = ReadonlyMap<ConstraintSubject | undefined, FunctionClaim['kind']> | undefined;

function forBuses(fn: MachineFunction, own: Own, below: readonly MachineFunction[]): MachineFunction {
  const { id, slot, sriov, bridge } = fn;
  const pin: BridgePins = {
    ...(bridge?.pin.secondary !== undefined && own?.get('secondary') === 'pin'
      ? { secondary: bridge.pin.secondary }
      : {}),
    ...(bridge?.pin.subordinate !== undefined && own?.get('subordinate') === 'pin'
      ? { subordinate: bridge.pin.subordinate }
      : {}),
  };
  const reserve = { ...noReserve, buses: own?.has('reserve') ? (bridge?.reserve.buses ?? 0) : 0 };
  return {
    id,
    slot,
    bars: [],
    ...(sriov && own?.has('vf0') ? { sriov } : {}),
    ...(bridge ? { bridge: { ...bridge, pin, reserve, functions: below } } : {}),
  };
}

function forAddresses(fn: MachineFunction, own: Own, below: readonly MachineFunction[]): MachineFunction {
  const { id, slot, rom, sriov, bridge } = fn;
  const keep = <T extends { pin?: bigint }>(subject: ConstraintSubject, from: T): T[] => {
    const as = own?.get(subject);
    if (as === undefined) return [];
    if (as === 'pin') return [from];
    const free = { ...from };
    delete free.pin;
    return [free];
  };
  const [keptRom] = rom ? keep('rom', rom) : [];
  const vfBars = sriov?.bars.flatMap((bar) => keep(`vf${bar.index}`, bar)) ?? [];
  return {
    id,
    slot,
    bars: fn.bars.flatMap((bar) => keep(bar.index, bar)),
    ...(keptRom ? { rom: keptRom } : {}),
    ...(sriov && vfBars.length > 0 ? { sriov: { ...sriov, bars: vfBars } } : {}),
    ...(bridge ? { bridge: bridgeFor(bridge, own, below) } : {}),
  };
}

function bridgeFor(bridge: Bridge, own: Own, below: readonly MachineFunction[]): Bridge {
  const pinned = (['io', 'memory', 'prefetchable'] as const).filter((kind) => own?.get(kind) === 'pin');
  return {
    ...bridge,
    reserve: own?.has('reserve') ? { ...bridge.reserve, buses: 0 } : noReserve,
    pin: Object.fromEntries(pinned.map((kind) => [kind, bridge.pin[kind]])),
    functions: below,
  };
}
