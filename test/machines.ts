import fc from 'fast-check';
import { AddressRange } from '../src/address/range.js';
import { GiB, KiB, MiB, TiB } from '../src/address/kinds.js';
import {
  noReserve,
  type Bar,
  type Bridge,
  type Machine,
  type MachineFunction,
  type Sriov,
} from '../src/machine/model.js';
import { parseSlot } from '../src/pci/bdf.js';

/** A machine with ample windows around the given functions. */
export function machineOf(functions: readonly MachineFunction[], more: Partial<Machine> = {}): Machine {
  return {
    arch: 'aarch64',
    board: 'none',
    ram: [AddressRange.sized(0x4000_0000n, GiB)],
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
          { type: 'io', base: 0n, size: 64n * KiB, cpuBase: 0x3eff_0000n },
          { type: 'mem32', base: 0x1000_0000n, size: 0x2eff_0000n, cpuBase: 0x1000_0000n },
          { type: 'mem64', base: 0x4000_0000_0000n, size: 64n * TiB, cpuBase: 0x4000_0000_0000n },
        ],
        functions,
      },
    ],
    ...more,
  };
}

export const bar = (index: number, type: Bar['type'], size: bigint, prefetchable = false): Bar => ({
  index,
  type,
  prefetchable,
  size,
});

export const endpoint = (id: string, slot: string, bars: readonly Bar[], more: Partial<MachineFunction> = {}) => ({
  id,
  slot: parseSlot(slot),
  bars,
  ...more,
});

export function bridge(
  id: string,
  slot: string,
  kind: Bridge['kind'],
  functions: readonly MachineFunction[],
  more: Partial<Bridge> = {},
): MachineFunction {
  const own: Bridge = { kind, io: 16, prefetchable: 64, hotplug: 'none', reserve: noReserve, pin: {}, functions };
  return { id, slot: parseSlot(slot), bars: [], bridge: { ...own, ...more } };
}

const types = fc.constantFrom(
  { type: 'io', prefetchable: false, least: 2, most: 8 } as const,
  { type: 'mem32', prefetchable: false, least: 4, most: 22 } as const,
  { type: 'mem32', prefetchable: true, least: 4, most: 22 } as const,
  { type: 'mem64', prefetchable: false, least: 4, most: 22 } as const,
  { type: 'mem64', prefetchable: true, least: 4, most: 36 } as const,
);

/** BARs that fill registers 0 to `registers` - 1 at most. */
function bars(registers: number, allowed: (bar: Bar) => boolean = () => true): fc.Arbitrary<Bar[]> {
  const one = fc.tuple(types, fc.nat({ max: 36 }), fc.boolean()).map(([{ least, most, ...type }, bits, gap]) => ({
    bar: { index: 0, ...type, size: 1n << BigInt(least + (bits % (most - least + 1))) },
    gap,
  }));
  return fc.array(one, { maxLength: registers }).map((list) => {
    const placed: Bar[] = [];
    let index = 0;
    for (const { bar: next, gap } of list) {
      const at = index + (gap ? 1 : 0);
      const taken = next.type === 'mem64' ? 2 : 1;
      if (at + taken > registers || !allowed(next)) continue;
      placed.push({ ...next, index: at });
      index = at + taken;
    }
    return placed;
  });
}

const rom = fc.option(
  fc.integer({ min: 11, max: 20 }).map((bits) => ({ size: 1n << BigInt(bits) })),
  { nil: undefined },
);

const sriov: fc.Arbitrary<Sriov> = fc.record({
  totalVfs: fc.integer({ min: 1, max: 7 }),
  firstVfOffset: fc.constant(8),
  vfStride: fc.constant(1),
  bars: bars(6, ({ type, size }) => type !== 'io' && size >= 4096n && size <= GiB),
});

type Draft = Omit<MachineFunction, 'id' | 'slot'>;

const leaf: fc.Arbitrary<Draft> = fc.record({ bars: bars(6), rom }).map(({ bars: list, rom: some }) => ({
  bars: list,
  ...(some ? { rom: some } : {}),
}));

const device = (express: boolean): fc.Arbitrary<Draft> =>
  express
    ? fc.tuple(leaf, fc.option(sriov, { nil: undefined })).map(([fn, some]) => (some ? { ...fn, sriov: some } : fn))
    : leaf;

/** Functions on `devices` devices; one in three of them has several functions. */
function bus(devices: number, draft: fc.Arbitrary<Draft>, name: string): fc.Arbitrary<MachineFunction[]> {
  const one = fc.tuple(draft, fc.array(leaf, { maxLength: 2 }), fc.nat({ max: 2 }));
  const slots = fc.uniqueArray(fc.nat({ max: devices - 1 }), { maxLength: Math.min(devices, 3) });
  return fc.tuple(slots, fc.array(one, { minLength: 3, maxLength: 3 })).map(([numbers, drafts]) =>
    numbers
      .toSorted((a, b) => a - b)
      .flatMap((number, i) => {
        const [first, others, many] = drafts[i]!;
        const all = [first, ...(many === 0 && !first.bridge ? others : [])];
        return all.map((fn, j) => named(fn, `${name}.${number}.${j}`, number, j));
      }),
  );
}

/** Ids from the place in the tree. */
function named(draft: Draft, id: string, deviceNumber: number, fn: number): MachineFunction {
  const functions = draft.bridge?.functions.map((child) =>
    named(child, `${id}/${child.id}`, child.slot.device, child.slot.fn),
  );
  return {
    ...draft,
    id,
    slot: { device: deviceNumber, fn },
    ...(draft.bridge && functions ? { bridge: { ...draft.bridge, functions } } : {}),
  };
}

function bridgeOf(kind: Bridge['kind'], depth: number): fc.Arbitrary<Draft> {
  const conventional = kind === 'pcie-pci-bridge' || kind === 'pci-bridge';
  const port = kind === 'root-port' || kind === 'downstream-port';
  const behind: fc.Arbitrary<Draft> =
    kind === 'upstream-port'
      ? bridgeOf('downstream-port', depth - 1)
      : fc.oneof(
          { weight: 3, arbitrary: device(!conventional) },
          ...(depth > 0
            ? conventional
              ? [{ weight: 1, arbitrary: bridgeOf('pci-bridge', depth - 1) }]
              : [
                  { weight: 1, arbitrary: bridgeOf('upstream-port', depth - 1) },
                  { weight: 1, arbitrary: bridgeOf('pcie-pci-bridge', depth - 1) },
                ]
            : []),
        );
  return fc
    .record({
      bars: bars(2),
      io: fc.constantFrom(0 as const, 16 as const, 32 as const),
      prefetchable: fc.constantFrom(0 as const, 32 as const, 64 as const),
      hot: fc.boolean(),
      functions: bus(port ? 1 : 32, behind, 'f'),
    })
    .map(({ bars: own, hot, ...rest }) => ({
      bars: own,
      bridge: {
        kind,
        ...rest,
        hotplug:
          !hot || kind === 'upstream-port' ? ('none' as const) : conventional ? ('shpc' as const) : ('pcie' as const),
        reserve: noReserve,
        pin: {},
      },
    }));
}

/** Machines with one or two host bridges and up to four levels of bridges of every kind. */
export const anyMachine: fc.Arbitrary<Machine> = fc
  .tuple(
    ...[0, 1].map(() =>
      bus(
        32,
        fc.oneof(device(true), bridgeOf('root-port', 3), bridgeOf('root-port', 2), bridgeOf('pcie-pci-bridge', 1)),
        'r',
      ),
    ),
    fc.constantFrom('one', 'segment', 'buses'),
  )
  .map(([first, second, layout]) => {
    const machine = machineOf(first as MachineFunction[]);
    const [host] = machine.hostBridges;
    if (layout === 'one') return machine;
    const rename = (fn: MachineFunction): MachineFunction => ({
      ...fn,
      id: `x${fn.id}`,
      ...(fn.bridge ? { bridge: { ...fn.bridge, functions: fn.bridge.functions.map(rename) } } : {}),
    });
    const other = {
      ...host!,
      id: 'pcie.1',
      functions: (second as MachineFunction[]).map(rename),
      segment: layout === 'segment' ? 1 : 0,
      buses: layout === 'segment' ? ([0, 255] as const) : ([0x80, 0xff] as const),
      windows: [
        { type: 'io', base: 0n, size: 64n * KiB, cpuBase: 0x3efe_0000n },
        { type: 'mem32', base: 0x8000_0000n, size: GiB, cpuBase: 0x8000_0000n },
        { type: 'mem64', base: 0x2000_0000_0000n, size: 16n * TiB, cpuBase: 0x2000_0000_0000n },
      ] as const,
    };
    return { ...machine, hostBridges: [{ ...host!, buses: layout === 'segment' ? [0, 255] : [0, 0x7f] }, other] };
  });

export { MiB };
