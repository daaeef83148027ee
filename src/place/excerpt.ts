import type { Bridge, HostBridge, Machine, MachineFunction } from '../machine/model.js';
import { eachFunction, noReserve } from '../machine/model.js';
import type { Claim, Kind } from './claims.js';
import type { ConstraintSubject } from './plan.js';

/** Where a function is: under which bridge (null: on a root bus), and as which of all. */
interface Spot {
  readonly fn: MachineFunction;
  readonly parent: MachineFunction | null;
  readonly host: number;
  readonly order: number;
}

/** A machine of which parts are looked at, many of them: what that costs grows with the part. */
export class Excerpts {
  readonly #spots = new Map<MachineFunction, Spot>();
  readonly #byId = new Map<string, MachineFunction>();

  constructor(private readonly machine: Machine) {
    let order = 0;
    machine.hostBridges.forEach((bridge, host) => {
      for (const { fn, parent } of eachFunction(bridge.functions)) {
        this.#spots.set(fn, { fn, parent, host, order: order++ });
        this.#byId.set(fn.id, fn);
      }
    });
  }

  /** A claim of an excerpt as one of the machine. */
  whole(claim: Claim): Claim {
    if (claim.kind === 'reserved') return claim;
    return { ...claim, fn: this.#byId.get(claim.fn.id) ?? claim.fn };
  }

  /**
   * The machine with nothing but `claims` in it: its windows, bus ranges and address bits as they are, and of its bridges
   * those above something that is claimed.
   */
  of(claims: readonly Claim[]): Machine {
    const named = new Map<MachineFunction, Map<ConstraintSubject | undefined, Kind>>();
    const bases = new Set<bigint>();
    for (const claim of claims) {
      if (claim.kind === 'reserved') {
        bases.add(claim.range.base);
        continue;
      }
      const own = named.get(claim.fn);
      if (own) own.set(claim.subject, claim.kind);
      else named.set(claim.fn, new Map([[claim.subject, claim.kind]]));
    }
    const below = this.#below(named.keys());
    const functions = (spots: readonly Spot[]): MachineFunction[] =>
      spots.map(({ fn }) => {
        const own = named.get(fn);
        return own?.has(undefined) ? fn : partOf(fn, own ?? nothing, functions(below.get(fn) ?? []));
      });
    return {
      ...this.machine,
      reserved: this.machine.reserved.filter(({ range }) => bases.has(range.base)),
      ram: this.machine.ram.filter(({ base }) => bases.has(base)),
      hostBridges: this.machine.hostBridges.map((host, i): HostBridge => ({
        ...host,
        functions: functions(below.get(i) ?? []),
      })),
    };
  }

  /** What lies right below each bridge, or by index each host bridge, on the way to `named`; in the machine's order. */
  #below(named: Iterable<MachineFunction>): ReadonlyMap<MachineFunction | number, Spot[]> {
    const below = new Map<MachineFunction | number, Spot[]>();
    const seen = new Set<Spot>();
    for (const fn of named) {
      for (let spot = this.#spots.get(fn); spot && !seen.has(spot);) {
        seen.add(spot);
        const key = spot.parent ?? spot.host;
        const list = below.get(key);
        if (list) list.push(spot);
        else below.set(key, [spot]);
        spot = spot.parent ? this.#spots.get(spot.parent) : undefined;
      }
    }
    for (const list of below.values()) list.sort((a, b) => a.order - b.order);
    return below;
  }
}

type Own = ReadonlyMap<ConstraintSubject | undefined, Kind>;
const nothing: Own = new Map();

function partOf(fn: MachineFunction, own: Own, below: readonly MachineFunction[]): MachineFunction {
  const { id, slot, rom, sriov, bridge } = fn;
  const keep = <T extends { pin?: bigint }>(subject: ConstraintSubject, from: T): T[] => {
    const as = own.get(subject);
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
    ...(bridge ? { bridge: bridgeOf(bridge, own, below) } : {}),
  };
}

function bridgeOf(bridge: Bridge, own: Own, below: readonly MachineFunction[]): Bridge {
  const pins = Object.entries(bridge.pin).filter(([subject]) => own.get(subject as ConstraintSubject) === 'pin');
  return {
    ...bridge,
    reserve: own.has('reserve') ? bridge.reserve : noReserve,
    pin: Object.fromEntries(pins),
    functions: below,
  };
}
