import { AddressRange } from '../src/address/range.js';
import { GiB, KiB, MiB } from '../src/address/kinds.js';
import { noReserve, type Bar, type Machine, type MachineFunction } from '../src/machine/model.js';
import { Random } from '../test/check/random.js';

const FUNCTIONS_PER_BUS = 256;
/** Bridges on a bus, so that a full segment of 256 buses is five levels deep. */
const FAN_OUT = 4;

/**
 * One segment with every function of its buses in use: 256 a bus, bridges included, 65,536 on 256 buses. About two BARs a
 * function, and a share of them pinned. Made from a layout, so that there is a plan; bridges have room for an eighth more
 * than they hold. No ports: 64 KiB of them do not reach anywhere at that size.
 */
export function segmentOf(functions: number, pins: number, seed = 1): Machine {
  const random = new Random(seed);
  const buses = Math.ceil(functions / FUNCTIONS_PER_BUS);
  let made = 0;
  let opened = 1;
  interface Draft {
    readonly slot: number;
    readonly bars: (Omit<Bar, 'pin'> & { address: bigint })[];
    behind: Draft[] | null;
  }
  const root: Draft[] = [];
  // Breadth first, so that the tree is even.
  const waiting = [root];
  for (let bus = waiting.shift(); bus; bus = waiting.shift()) {
    for (let slot = 0; slot < FUNCTIONS_PER_BUS && made < functions; slot++, made++) {
      const draft: Draft = { slot, bars: [], behind: null };
      if (slot < FAN_OUT && opened < buses) {
        opened++;
        draft.behind = [];
        waiting.push(draft.behind);
      } else draft.bars.push(...barsOf(random));
      bus.push(draft);
    }
  }
  // Both address lines of the layout, low and high: what a bus holds, then what lies behind its bridges.
  const end = { low: 0x1000_0000n, high: 0x80_0000_0000n };
  const lay = (bus: readonly Draft[]) => {
    for (const line of ['low', 'high'] as const) {
      const bars = bus.flatMap((fn) => fn.bars).filter((bar) => (bar.type === 'mem64') === (line === 'high'));
      const from = end[line];
      for (const bar of random.shuffle(bars).sort((a, b) => Number(b.size - a.size))) {
        end[line] = up(end[line], bar.size);
        bar.address = end[line];
        end[line] += bar.size;
      }
      end[line] = up(end[line] + (end[line] - from) / 8n, MiB);
    }
    for (const fn of bus) if (fn.behind) lay(fn.behind);
  };
  lay(root);
  const convert = ({ slot, bars, behind }: Draft, path: string): MachineFunction => {
    const id = `${path}.${slot.toString(16)}`;
    return {
      id,
      slot: { device: slot >> 3, fn: slot & 7 },
      bars: bars.map(({ address, ...bar }) => (random.chance(pins) ? { ...bar, pin: address } : bar)),
      ...(behind && {
        bridge: {
          kind: 'root-port',
          io: 0,
          prefetchable: 64,
          hotplug: 'none',
          reserve: noReserve,
          pin: {},
          functions: behind.map((fn) => convert(fn, id)),
        },
      }),
    };
  };
  return {
    arch: 'aarch64',
    board: 'none',
    ram: [AddressRange.sized(0x100_0000_0000n, GiB)],
    physicalAddressBits: 48,
    properties: {},
    allowNonPrefetchableInPrefetchable: false,
    reserved: [],
    hostBridges: [
      {
        id: 'pcie.0',
        segment: 0,
        buses: [0, 255],
        windows: [
          { type: 'mem32', base: 0x1000_0000n, size: 0xf000_0000n, cpuBase: 0x1000_0000n },
          { type: 'mem64', base: 0x80_0000_0000n, size: 0x80_0000_0000n, cpuBase: 0x80_0000_0000n },
        ],
        functions: root.map((fn) => convert(fn, 'f')),
      },
    ],
  };
}

/** One to three BARs: half of them 32-bit from 4 to 32 KiB, half 64-bit prefetchable from 4 KiB to 4 MiB. */
function barsOf(random: Random) {
  const bars: (Omit<Bar, 'pin'> & { address: bigint })[] = [];
  let index = 0;
  for (let left = random.int(1, 3); left > 0; left--) {
    const high = random.chance(0.5);
    const size = (4n * KiB) << BigInt(random.int(0, high ? 10 : 3));
    bars.push({ index, type: high ? 'mem64' : 'mem32', prefetchable: high, size, address: 0n });
    index += high ? 2 : 1;
  }
  return bars;
}

const up = (value: bigint, step: bigint) => ((value + step - 1n) / step) * step;
