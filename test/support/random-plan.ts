import fc from 'fast-check';
import { alignUp } from '../../src/address/align.js';
import { AddressRange } from '../../src/address/range.js';
import type { BarType } from '../../src/machine/model.js';
import type { Bdf } from '../../src/pci/bdf.js';
import type { Plan, PlannedBar, PlannedBridge, PlannedFunction } from '../../src/place/plan.js';

/** What one endpoint asks for. */
const endpoint = fc.record({
  bars: fc.array(
    fc.record({
      type: fc.constantFrom<BarType>('io', 'mem32', 'mem64'),
      prefetchable: fc.boolean(),
      bits: fc.integer({ min: 0, max: 8 }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  rom: fc.boolean(),
  vfs: fc.integer({ min: 0, max: 4 }),
});
type Endpoint = typeof endpoint extends fc.Arbitrary<infer T> ? T : never;

/**
 * Plans with root ports, a switch and endpoints, everything packed from low to high: not the work of the solver, so that
 * tests that read listings do not depend on it. Endpoints behind ports come at bus 1 and up.
 */
export const randomPlan: fc.Arbitrary<Plan> = fc
  .record({
    onRoot: fc.array(endpoint, { maxLength: 2 }),
    ports: fc.array(fc.array(endpoint, { maxLength: 2 }), { minLength: 1, maxLength: 3 }),
  })
  .map(({ onRoot, ports }) => layOut(onRoot, ports));

class Cursor {
  constructor(public next: bigint) {}
  take(size: bigint, alignment = size): bigint {
    const base = alignUp(this.next, alignment);
    this.next = base + size;
    return base;
  }
}

function layOut(onRoot: readonly Endpoint[], ports: readonly (readonly Endpoint[])[]): Plan {
  const space = {
    io: new Cursor(0x1000n),
    memory: new Cursor(0x1000_0000n),
    prefetchable: new Cursor(0x80_0000_0000n),
  };
  const functions: PlannedFunction[] = [];
  const bridges: PlannedBridge[] = [];
  const align = () => {
    space.io.take(0n, 0x1000n);
    space.memory.take(0n, 0x10_0000n);
    space.prefetchable.take(0n, 0x10_0000n);
  };
  const window = (from: bigint, to: bigint, step: bigint) =>
    from === to ? null : AddressRange.of(from, alignUp(to, step) - 1n);
  const place = (id: string, address: Bdf, wanted: Endpoint) => functions.push(endpointAt(id, address, wanted, space));
  ports.forEach((endpoints, i) => {
    const address = { segment: 0, bus: 0, device: i + 1, fn: 0 };
    align();
    const [io, memory, prefetchable] = [space.io.next, space.memory.next, space.prefetchable.next];
    endpoints.forEach((wanted, j) => place(`dev${i}${j}`, { segment: 0, bus: i + 1, device: j, fn: 0 }, wanted));
    bridges.push({
      id: `rp${i}`,
      address,
      primary: 0,
      secondary: i + 1,
      subordinate: i + 1,
      io: window(io, space.io.next, 0x1000n),
      memory: window(memory, space.memory.next, 0x10_0000n),
      prefetchable: window(prefetchable, space.prefetchable.next, 0x10_0000n),
    });
  });
  align();
  bridges.forEach((bridge) =>
    functions.push({ id: bridge.id, address: bridge.address, bars: [bar(0, 'mem32', false, 0x1000n, space.memory)] }),
  );
  onRoot.forEach((wanted, i) => place(`root${i}`, { segment: 0, bus: 0, device: 0x10 + i, fn: 0 }, wanted));
  functions.sort((a, b) => a.address.bus - b.address.bus || a.address.device - b.address.device);
  const windows = [
    { type: 'io', base: 0n, size: 0x1_0000n, cpuBase: 0x3eff_0000n },
    { type: 'mem32', base: 0x1000_0000n, size: 0x2eff_0000n, cpuBase: 0x1000_0000n },
    { type: 'mem64', base: 0x80_0000_0000n, size: 0x80_0000_0000n, cpuBase: 0x80_0000_0000n },
  ] as const;
  const hostBridges = [{ id: 'pcie.0', segment: 0, buses: [0, ports.length] as const, windows }];
  return { status: 'placed', ram: [AddressRange.sized(0x4000_0000n, 0x4000_0000n)], hostBridges, bridges, functions };
}

const bar = (index: number, type: BarType, prefetchable: boolean, size: bigint, cursor: Cursor): PlannedBar => ({
  index,
  type,
  prefetchable: prefetchable && type !== 'io',
  size,
  address: cursor.take(size),
  pinned: false,
});

function endpointAt(
  id: string,
  address: Bdf,
  wanted: Endpoint,
  space: Record<'io' | 'memory' | 'prefetchable', Cursor>,
): PlannedFunction {
  const bars: PlannedBar[] = [];
  for (const { type, prefetchable, bits } of wanted.bars) {
    const index = bars.reduce((next, { index: at, type: of }) => Math.max(next, at + (of === 'mem64' ? 2 : 1)), 0);
    const size = 1n << BigInt(type === 'io' ? 5 + (bits % 4) : 12 + bits);
    const cursor = type === 'io' ? space.io : type === 'mem64' && prefetchable ? space.prefetchable : space.memory;
    bars.push(bar(index, type, prefetchable, size, cursor));
  }
  return {
    id,
    address,
    bars,
    ...(wanted.rom ? { rom: { size: 0x8_0000n, address: space.memory.take(0x8_0000n), pinned: false } } : {}),
    ...(wanted.vfs > 0 ? { sriov: { bars: [vfBar(wanted.vfs, space.prefetchable)] } } : {}),
  };
}

const vfBar = (count: number, cursor: Cursor) => ({
  index: 0,
  type: 'mem64' as const,
  prefetchable: true,
  size: 0x4000n,
  count,
  address: cursor.take(0x4000n * BigInt(count), 0x4000n),
  pinned: false,
});
