import type { CpuAddress } from '../address/kinds.js';
import type { Machine } from '../machine/model.js';
import type { Bdf } from '../pci/bdf.js';
import { allOnes, type ConfigAccess, type ConfigOp } from '../pci/config-access.js';
import { decodeOnBus, throughHostWindow, type Hit, type Space } from './decode.js';
import { buildBus, type SimFunction, type SimOptions } from './function.js';
import { route, type SimHost } from './routing.js';

/** A machine made of registers: nothing of it remembers what was planned, only what was written. */
export interface SimulatedMachine {
  /** Writable, source `sim`. */
  readonly access: ConfigAccess;
  /** As `enumerate` takes them. */
  readonly hosts: readonly SimHost[];
  /**
   * Everything that answers a CPU address: none, one, or several in conflict. Goes through the host bridges' windows, then
   * the bridges' windows, then the BARs, each by its registers and enable bits as they stand.
   */
  readonly decode: (space: Space, cpu: CpuAddress) => Hit[];
  /** The function that answers at an address now; undefined where nothing or more than one does. */
  readonly functionAt: (at: Bdf) => SimFunction | undefined;
  /** Every register back to its power-on state. */
  readonly reset: () => void;
  /** Batches and single accesses carried out so far. */
  readonly count: { batches: number; reads: number; writes: number };
}

function reset(functions: readonly SimFunction[]): void {
  for (const fn of functions) {
    fn.registers.reset();
    reset(fn.children);
  }
}

/** A machine in power-on state: no bus numbers, every BAR zero, decoding off, bridge windows at zero. */
export function simulate(machine: Pick<Machine, 'hostBridges'>, options: SimOptions = {}): SimulatedMachine {
  const hosts: SimHost[] = machine.hostBridges.map(({ id, segment, buses, functions }) => ({
    id,
    segment,
    buses,
    functions: buildBus(functions, 'root-bus', options),
  }));
  const count = { batches: 0, reads: 0, writes: 0 };

  const functionAt = (at: Bdf) => {
    const answers = route(hosts, at);
    return answers.length === 1 ? answers[0] : undefined;
  };

  const carryOut = (op: ConfigOp): number => {
    if (op.kind === 'read') {
      count.reads++;
      return functionAt(op.at)?.registers.read(op.register, op.width) ?? allOnes(op.width);
    }
    count.writes++;
    // A write reaches everyone whose bridges forward it.
    for (const fn of route(hosts, op.at)) fn.registers.write(op.register, op.width, op.value);
    return 0;
  };

  return {
    access: {
      source: 'sim',
      writable: true,
      batch: (ops) => {
        count.batches++;
        return Promise.resolve(ops.map(carryOut));
      },
    },
    hosts,
    decode: (space, cpu) =>
      machine.hostBridges.flatMap(({ windows }, i) => {
        const bus = throughHostWindow(windows, space, cpu);
        return bus === null ? [] : decodeOnBus(hosts[i]?.functions ?? [], space, bus);
      }),
    functionAt,
    reset: () => {
      for (const host of hosts) reset(host.functions);
    },
    count,
  };
}
