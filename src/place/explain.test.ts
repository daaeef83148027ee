import { describe, expect, it } from 'vitest';
import { machineFrom } from '../machine/load.js';
import { place } from './place.js';
import type { Infeasible } from './plan.js';

interface Extra {
  readonly machine?: object;
  readonly host?: object;
  readonly reserved?: readonly object[];
}

const virt = (functions: readonly object[], { machine = {}, host = {}, reserved = [] }: Extra = {}) =>
  machineFrom(
    {
      pinbar: 1,
      machine: { arch: 'aarch64', board: 'virt', ram: '4GiB', physicalAddressBits: 48, ...machine },
      reserved,
      hostBridges: [{ id: 'pcie.0', functions, ...host }],
    },
    'test',
  );
const device = (id: string, slot: string, bars: readonly object[], more: object = {}) => ({ id, slot, bars, ...more });
const port = (id: string, slot: string, functions: readonly object[], more: object = {}) => ({
  id,
  slot,
  bridge: { kind: 'root-port', io: 32, functions, ...more },
});
const mem64 = (index: number, size: string, pin?: string) => ({
  index,
  type: 'mem64',
  prefetchable: true,
  size,
  ...(pin ? { pin } : {}),
});
const mem32 = (index: number, size: string, pin?: string) => ({ index, type: 'mem32', size, ...(pin ? { pin } : {}) });

function conflict(
  ...given: Parameters<typeof virt>
): Infeasible & { readonly kinds: string[]; readonly changes: string } {
  const result = place(virt(...given));
  if (result.status !== 'infeasible') throw new Error(`expected a conflict, got ${result.status}`);
  const kinds = result.conflict.constraints.map(({ kind, id, bar }) =>
    [kind, id, bar].filter((x) => x !== undefined).join(' '),
  );
  expect(result.remedies.every(({ verified }) => verified)).toBe(true);
  return { ...result, kinds, changes: result.remedies.map(({ change }) => change).join('\n') };
}

const large = { machine: { properties: { 'highmem-mmio-size': '64TiB' } } };

describe('a conflict of one BAR', () => {
  it('shows that 512 MiB have no place in the 32-bit window of virt', () => {
    const {
      conflict: found,
      kinds,
      changes,
    } = conflict([device('fpga', '9.0', [mem32(0, '4KiB'), mem32(1, '512MiB')])]);
    expect(found.summary).toBe(
      'fpga BAR 1 needs 512 MiB at an address that is a multiple of 0x20000000; the 32-bit window 0x10000000-0x3efeffff has one candidate, 0x20000000, and it would end at 0x3fffffff, 0x1010000 past the window; no order of allocation helps.',
    );
    expect(kinds).toEqual(['size fpga 1', 'window pcie.0']);
    expect(changes).toContain('64-bit');
    expect(changes).toContain('at most 256 MiB');
  });

  it('names the board option that makes room above 4 GiB', () => {
    const sriov = { totalVfs: 64, firstVfOffset: 1, vfStride: 1, bars: [mem64(0, '16GiB')] };
    const { conflict: found, changes } = conflict([port('rp1', '1.0', [device('nic', '0.0', [], { sriov })])]);
    expect(found.summary).toContain('The VF BAR 0 group of nic (64 x 16 GiB) needs 1 TiB');
    expect(changes).toContain('highmem-mmio-size=1T (QEMU 10.0 or later)');
    expect(changes).toContain('give nic 32 VFs instead of 64');
  });

  it('says that a non-prefetchable BAR behind a bridge lies below 4 GiB, and offers the exception', () => {
    const { conflict: found, changes } = conflict([
      port('rp1', '1.0', [device('dev', '0.0', [{ index: 0, type: 'mem64', size: '4GiB' }])]),
    ]);
    expect(found.summary).toContain(
      'below 4 GiB because rp1 above it has only memory windows for what is not prefetchable',
    );
    expect(changes).toContain('allowNonPrefetchableInPrefetchable: true');
  });

  it('names the bridge without an I/O window', () => {
    const {
      conflict: found,
      kinds,
      changes,
    } = conflict([port('rp1', '1.0', [device('dev', '0.0', [{ index: 0, type: 'io', size: 32 }])], { io: 0 })]);
    expect(found.summary).toBe('dev BAR 0 needs I/O ports, and rp1 above it has no I/O window.');
    expect(kinds).toEqual(['size dev 0', 'bridge rp1']);
    expect(changes).toContain('use a bridge with a 32-bit I/O window for rp1');
  });

  it('finds the address bits that it takes', () => {
    const { kinds, changes } = conflict([device('gpu', '1.0', [mem64(0, '1TiB')])], {
      machine: { physicalAddressBits: 40, properties: { 'highmem-mmio-size': '4TiB' } },
    });
    expect(kinds).toContain('address-bits');
    expect(changes).toContain('43 physical address bits instead of 40');
  });
});

describe('a conflict of pins', () => {
  it('gives the nearest addresses of a misaligned pin', () => {
    const { conflict: found, kinds, changes } = conflict([device('dev0', '1.0', [mem64(2, '256GiB', '0x8010000000')])]);
    expect(found.summary).toBe(
      'dev0 BAR 2 is pinned to 0x8010000000, but its address has to be a multiple of 0x4000000000, its size, and 0x8010000000 lies between 0x8000000000 and 0xc000000000.',
    );
    expect(changes).toContain('pin dev0 BAR 2 to 0x8000000000 instead of 0x8010000000, the nearest address that works');
    expect(kinds).toEqual(['pin dev0 2']);
  });

  it('names both pins that overlap, with their ranges', () => {
    const {
      conflict: found,
      kinds,
      changes,
    } = conflict([
      port('rp1', '1.0', [device('dev0', '0.0', [mem64(2, '1GiB', '0x8040000000')])]),
      port('rp2', '2.0', [device('dev1', '0.0', [mem64(2, '512MiB', '0x8060000000')])]),
    ]);
    expect(found.summary).toBe(
      'dev0 BAR 2 is pinned to 0x8040000000-0x807fffffff (1 GiB), and dev1 BAR 2 to 0x8060000000-0x807fffffff (512 MiB): both take 0x8060000000-0x807fffffff.',
    );
    expect(kinds).toEqual(['pin dev0 2', 'pin dev1 2']);
    expect(changes).toContain('pin dev1 BAR 2 to 0x8080000000 instead of 0x8060000000');
  });

  it('lists the windows of a pin outside them', () => {
    const {
      conflict: found,
      kinds,
      changes,
    } = conflict([device('dev0', '1.0', [mem64(2, '256GiB', '0x6b8000000000')])]);
    expect(found.summary).toContain('lies in no window of pcie.0');
    expect(found.summary).toContain('the 64-bit window 0x8000000000-0xffffffffff');
    expect(kinds).toEqual(['pin dev0 2', 'window pcie.0']);
    expect(changes).toContain('highmem-mmio-size=64T');
  });

  it('says what a pin meets: a reserved range, or RAM', () => {
    const reserved = [{ base: '0x20080000', size: '64KiB', reason: 'MSI doorbell' }];
    const onReserved = conflict([device('dev0', '1.0', [mem32(0, '1MiB', '0x20000000')])], { reserved });
    expect(onReserved.conflict.summary).toContain('meets the reserved range 0x20080000-0x2008ffff (MSI doorbell)');
    expect(onReserved.changes).toContain(
      'pin dev0 BAR 0 to 0x1ff00000 instead of 0x20000000, the nearest address that works',
    );
    expect(onReserved.kinds).toEqual(['pin dev0 0', 'reserved']);
    const host = { windows: [{ type: 'mem64', base: 0, size: '1TiB' }] };
    const onRam = conflict([device('dev0', '1.0', [mem64(2, '1GiB', '0x80000000')])], { host });
    expect(onRam.conflict.summary).toContain('meets RAM at 0x40000000-0x13fffffff');
    expect(onRam.changes).toContain(
      'split the RAM so that none lies at 0x80000000-0xbfffffff: 0x40000000-0x7fffffff and 0xc0000000-0x17fffffff',
    );
  });

  it("shows the window that a bridge would need, and the pin inside it that is another's", () => {
    const { conflict: found, kinds } = conflict(
      [
        port('rp1', '1.0', [
          device('gpu0', '0.0', [mem64(2, '256GiB', '0x6b8000000000'), mem64(4, '32MiB', '0x6c8000000000')]),
        ]),
        port('rp2', '2.0', [device('gpu1', '0.0', [mem64(2, '256GiB', '0x6c0000000000')])]),
      ],
      large,
    );
    expect(found.summary).toContain(
      "rp1's prefetchable window must run from 0x6b8000000000 to 0x6c8001ffffff because of gpu0 BAR 2 and BAR 4, and gpu1 BAR 2 at 0x6c0000000000-0x6c3fffffffff lies inside, but behind rp2",
    );
    expect(kinds).toEqual(['pin gpu0 2', 'pin gpu0 4', 'pin gpu1 2', 'bridge rp1']);
  });

  it('moves the device behind the wrong port under the same switch', () => {
    const below = (id: string, slot: string, bars: readonly object[]) => ({
      id: `port-${id}`,
      slot,
      bridge: { kind: 'downstream-port', functions: [device(id, '0.0', bars)] },
    });
    const functions = [
      below('gpu0', '0.0', [mem64(2, '256GiB', '0x6b8000000000')]),
      below('nic0', '1.0', [mem64(0, '32MiB', '0x6d8000000000')]),
    ];
    const { changes } = conflict(
      [
        port('rp1', '1.0', [{ id: 'switch', slot: '0.0', bridge: { kind: 'upstream-port', functions } }]),
        port('rp2', '2.0', [device('gpu1', '0.0', [mem64(2, '256GiB', '0x6c8000000000')])]),
      ],
      large,
    );
    expect(changes).toContain('move gpu1 behind a new downstream port of the switch');
  });

  it('leaves the pin out of it where the BAR has no place anyway', () => {
    const { kinds } = conflict([device('fpga', '9.0', [mem32(1, '512MiB', '0x20000000')])]);
    expect(kinds).toEqual(['size fpga 1', 'window pcie.0']);
  });
});

describe('a conflict of bus numbers', () => {
  it('counts them', () => {
    const ports = Array.from({ length: 20 }, (_, i) => port(`rp${i}`, `${(i >> 3) + 1}.${i & 7}`, []));
    const { conflict: found, kinds, changes } = conflict(ports, { host: { buses: [0, 15] } });
    expect(found.summary).toBe(
      'pcie.0 has bus numbers 0 to 15, the first for its root bus: 15 are left for what is behind it, and 16 bridges (rp0, rp1, rp2, rp3, rp4, rp5, rp6 and 9 more) need one each.',
    );
    expect(kinds).toHaveLength(17);
    expect(kinds.at(-1)).toBe('bus-range pcie.0');
    expect(changes).toContain('let pcie.0 use buses 0 to 20');
  });

  it('names two bridges on one number', () => {
    const { kinds } = conflict([
      port('a', '1.0', [], { pin: { secondary: 5 } }),
      port('b', '2.0', [], { pin: { secondary: 5 } }),
    ]);
    expect(kinds).toEqual(['pin a secondary', 'pin b secondary']);
  });
});
