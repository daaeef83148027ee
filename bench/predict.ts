import { MiB } from '../src/address/kinds.js';
import { guestsFor, parseGuests, predict } from '../src/guests/predict.js';
import { noReserve, type Bar, type Machine, type MachineFunction } from '../src/machine/model.js';
import { Random } from '../test/check/random.js';
import { least, median, timedOnProcessor } from './measure.js';
import { limit, type Report } from './report.js';

const FUNCTIONS = 40;
const TOPOLOGIES = 1000;

/** How long a prediction takes, for every guest: a machine of 40 functions, and a fleet of 1,000 machines. */
export function measurePredict(): Report {
  const rows: (string | number)[][] = [];
  const slowest = { one: 0, fleet: Infinity };
  for (const arch of ['aarch64', 'riscv64', 'x86_64'] as const) {
    const fleet = Array.from({ length: TOPOLOGIES }, (_, seed) => machineOf(arch, seed + 1));
    for (const name of guestsFor(fleet[0] ?? machineOf(arch, 1))) {
      const guests = parseGuests(name);
      const times: number[] = [];
      const { ms, processorMs } = timedOnProcessor(() => {
        for (const machine of fleet) {
          const from = performance.now();
          predict(machine, guests);
          times.push(performance.now() - from);
        }
      });
      const perSecond = (TOPOLOGIES * 1000) / processorMs;
      rows.push([
        `${arch} ${name}`,
        ...[times[0] ?? NaN, least(times), median(times)],
        ...[Math.round((TOPOLOGIES * 1000) / ms), Math.round(perSecond)],
      ]);
      slowest.one = Math.max(slowest.one, median(times));
      slowest.fleet = Math.min(slowest.fleet, perSecond);
    }
  }
  return {
    part: 'predict',
    tables: [
      {
        title: `${TOPOLOGIES} random machines of ${FUNCTIONS} functions`,
        columns: ['', 'first ms', 'best ms', 'median ms', 'a second', 'a second of processor time'],
        rows,
      },
    ],
    limits: [
      limit(`${FUNCTIONS} functions, the slowest guest, median`, slowest.one, 5, ' ms'),
      limit('processor time for one of a fleet, the slowest guest', 1000 / slowest.fleet, 1, ' ms'),
    ],
    skipped: [],
  };
}

const windows: Readonly<Record<Machine['arch'], Machine['hostBridges'][number]['windows']>> = {
  aarch64: [
    { type: 'io', base: 0n, size: 0x10000n, cpuBase: 0x3eff0000n },
    { type: 'mem32', base: 0x10000000n, size: 0x2eff0000n, cpuBase: 0x10000000n },
    { type: 'mem64', base: 0x8000000000n, size: 0x8000000000n, cpuBase: 0x8000000000n },
  ],
  riscv64: [
    { type: 'io', base: 0n, size: 0x10000n, cpuBase: 0x3000000n },
    { type: 'mem32', base: 0x40000000n, size: 0x40000000n, cpuBase: 0x40000000n },
    { type: 'mem64', base: 0x400000000n, size: 0x400000000n, cpuBase: 0x400000000n },
  ],
  x86_64: [
    { type: 'io', base: 0xd00n, size: 0xf300n, cpuBase: 0xd00n },
    { type: 'mem32', base: 0xc0000000n, size: 0x3ec00000n, cpuBase: 0xc0000000n },
    { type: 'mem64', base: 0x100000000n, size: 0x800000000n, cpuBase: 0x100000000n },
  ],
};

/** A root bus, ports, switches and PCI bridges with devices such as QEMU has. */
function machineOf(arch: Machine['arch'], seed: number): Machine {
  const random = new Random(seed);
  const root: MachineFunction[] = [];
  const buses = [root];
  for (let made = 0; made < FUNCTIONS; made++) {
    const bus = random.pick(buses.filter((one) => one.length < 32));
    const slot = { device: bus.length, fn: 0 };
    const id = `f${made}`;
    if (!random.chance(0.4)) {
      bus.push({ id, slot, class: 0x020000, bars: barsOf(random) });
      continue;
    }
    const functions: MachineFunction[] = [];
    buses.push(functions);
    bus.push({
      id,
      slot,
      class: 0x060400,
      bars: [],
      bridge: {
        kind: bus === root ? 'root-port' : 'downstream-port',
        io: 16,
        prefetchable: 64,
        hotplug: random.chance(0.5) ? 'pcie' : 'none',
        reserve: noReserve,
        pin: {},
        functions,
      },
    });
  }
  return {
    arch,
    board: arch === 'x86_64' ? 'q35' : 'virt',
    ram: [],
    physicalAddressBits: undefined,
    properties: {},
    allowNonPrefetchableInPrefetchable: false,
    reserved: [],
    hostBridges: [{ id: 'pcie.0', segment: 0, buses: [0, 255], windows: windows[arch], functions: root }],
  };
}

function barsOf(random: Random): Bar[] {
  const bars: Bar[] = [{ index: 0, type: 'mem32', prefetchable: false, size: 0x1000n << BigInt(random.int(0, 8)) }];
  if (random.chance(0.3))
    bars.push({ index: 1, type: 'io', prefetchable: false, size: 0x20n << BigInt(random.int(0, 3)) });
  if (random.chance(0.5)) {
    bars.push({ index: 2, type: 'mem64', prefetchable: true, size: MiB << BigInt(random.int(0, 8)) });
  }
  return bars;
}
