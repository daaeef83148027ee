import { describe, expect, it } from 'vitest';
import { AddressRange } from '../../address/range.js';
import type { Plan } from '../../place/plan.js';
import { outsideAcpiWindows, parseE820, pcMap, type PcFacts, type PcRequest } from './pc-map.js';

const range = (base: number | bigint, limit: number | bigint) => AddressRange.of(BigInt(base), BigInt(limit));
/** AMD HyperTransport: QEMU keeps it from guests with an AMD CPU. */
const HYPERTRANSPORT = range(0xfd_0000_0000n, 0xff_ffff_ffffn);

/** QEMU 10.0.2, `-machine q35 -cpu max -m 4G`. */
const facts: PcFacts = {
  memory: [
    { range: range(0, 0xbffff), kind: 'ram', name: 'pc.ram' },
    { range: range(0x10_0000, 0x7fff_ffff), kind: 'ram', name: 'pc.ram' },
    { range: range(0xfec0_0000, 0xfec0_0fff), kind: 'i/o', name: 'ioapic' },
    { range: range(0x1_0000_0000n, 0x1_7fff_ffffn), kind: 'ram', name: 'pc.ram' },
  ],
  ports: [
    { range: range(0x514, 0x51b), kind: 'i/o', name: 'fwcfg.dma' },
    { range: range(0x51c, 0x5657), kind: 'i/o', name: 'io' },
    { range: range(0x5658, 0x5658), kind: 'i/o', name: 'vmport' },
    { range: range(0x5659, 0xffff), kind: 'i/o', name: 'io' },
  ],
  e820: [
    { range: HYPERTRANSPORT, type: 2 },
    { range: range(0, 0x7fff_ffff), type: 1 },
    { range: range(0x1_0000_0000n, 0x1_7fff_ffffn), type: 1 },
  ],
  hole: { base: 0x8000_0000n, end: 0xfec0_0000n },
  hole64Base: 0x1_8000_0000n,
  ecam: range(0xb000_0000, 0xbfff_ffff),
  addressBits: 40,
};
const windows = (request: Partial<PcRequest> = {}, more: Partial<PcFacts> = {}) =>
  pcMap({ ...facts, ...more }, { pinned: [], ...request }).windows.map(
    ({ type, base, size, cpuBase }) =>
      `${type} ${AddressRange.sized(base, size).toString()}${(cpuBase as bigint) === (base as bigint) ? '' : ' moved'}`,
  );

describe('a PC', () => {
  it('has windows where QEMU decodes nothing, less ECAM, ports in use and the lowest ports', () => {
    expect(windows()).toEqual([
      'io 0x1000-0x5657',
      'io 0x5659-0xffff',
      'mem32 0x80000000-0xafffffff',
      'mem32 0xc0000000-0xfebfffff',
      'mem64 0x180000000-0xfcffffffff',
    ]);
    const { ram, physicalAddressBits, reserved } = pcMap(facts, { pinned: [] });
    expect(ram.map(String)).toEqual(['0x0-0x7fffffff', '0x100000000-0x17fffffff']);
    expect(physicalAddressBits).toBe(40);
    expect(reserved?.map((one) => one.range.toString())).toEqual(['0xfd00000000-0xffffffffff']);
  });

  it('without ECAM has one 32-bit window', () => {
    expect(windows({}, { ecam: null }).filter((line) => line.startsWith('mem32'))).toEqual([
      'mem32 0x80000000-0xfebfffff',
    ]);
  });

  it('cuts out whatever a machine has in the holes', () => {
    const memory = [
      ...facts.memory,
      { range: range(0xd000_0000, 0xd000_0fff), kind: 'i/o', name: 'board' },
      { range: range(0x2_0000_0000n, 0x2_ffff_ffffn), kind: 'ram', name: 'dimm' },
    ];
    expect(windows({}, { memory }).slice(2)).toEqual([
      'mem32 0x80000000-0xafffffff',
      'mem32 0xc0000000-0xcfffffff',
      'mem32 0xd0001000-0xfebfffff',
      'mem64 0x180000000-0x1ffffffff',
      'mem64 0x300000000-0xfcffffffff',
    ]);
  });

  it('hands out the lowest ports where something is pinned there, but for those in use now or later', () => {
    expect(windows({ pinned: [0x800n] }).slice(0, 5)).toEqual([
      'io 0x0-0x513',
      'io 0x51c-0x5ff',
      'io 0x680-0x6ff',
      'io 0x740-0x5657',
      'io 0x5659-0xffff',
    ]);
  });

  it('goes on above what e820 keeps, where the CPU has the address bits', () => {
    expect(windows({}, { addressBits: 46 }).slice(-2)).toEqual([
      'mem64 0x180000000-0xfcffffffff',
      'mem64 0x10000000000-0x3fffffffffff',
    ]);
  });

  it('has no window above 4 GiB where the CPU has 32 address bits', () => {
    expect(windows({}, { addressBits: 32 }).filter((line) => line.startsWith('mem64'))).toEqual([]);
  });

  it('takes pcie-mmio-window where the machine has room', () => {
    expect(windows({ mmioWindow: { base: 0x80_0000_0000n, size: 0x40_0000_0000n } }).at(-1)).toBe(
      'mem64 0x8000000000-0xbfffffffff',
    );
    expect(() => windows({ mmioWindow: { base: 0x4000_0000_0000n, size: 0x4000_0000_0000n } })).toThrow(
      expect.objectContaining({ code: 'window-not-there', exit: 3 }) as Error,
    );
  });

  it('reads e820 as QEMU writes it', () => {
    const bytes = Buffer.from(
      '000000000000000000000080000000000100000000000000fd0000000000000003000000020000000000000000000000000000000000000001000000',
      'hex',
    );
    expect(parseE820(bytes).map(({ range: one, type }) => `${one.toString()} ${type}`)).toEqual([
      '0x0-0x7fffffff 1',
      '0xfd00000000-0xffffffffff 2',
    ]);
  });
});

describe('what the guest is told', () => {
  const plan = (...bars: (readonly ['io' | 'mem32' | 'mem64', bigint])[]): Plan => ({
    status: 'placed',
    ram: [],
    hostBridges: [],
    bridges: [],
    functions: [
      {
        id: 'dev0',
        address: { segment: 0, bus: 0, device: 1, fn: 0 },
        bars: bars.map(([type, address], index) => ({
          index,
          type,
          address,
          size: 0x1000n,
          prefetchable: false,
          pinned: false,
        })),
      },
    ],
  });
  const hole64 = { base: 0x6b_8000_0000n, end: 0x73_8000_0000n };

  it('holds a plan whose BARs lie in its windows', () => {
    expect(
      outsideAcpiWindows(plan(['io', 0x2000n], ['mem32', 0x8000_0000n], ['mem64', 0x73_7fff_f000n]), facts, hole64),
    ).toEqual([]);
  });

  it('does not hold one above or below', () => {
    expect(outsideAcpiWindows(plan(['mem64', 0x73_8000_0000n], ['mem32', 0x2000_0000n]), facts, hole64)).toEqual([
      expect.stringContaining('dev0 BAR 0 is at 0x7380000000-0x7380000fff'),
      expect.stringMatching(/dev0 BAR 1 is at 0x20000000.*0x80000000-0xfebfffff and 0x6b80000000-0x737fffffff$/),
    ]);
  });
});
