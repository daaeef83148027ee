import { describe, expect, it } from 'vitest';
import { loadMachine } from '../machine/load.js';
import { place } from './place.js';
import type { Plan } from './plan.js';

/** Two root ports: one with a prefetchable BAR of 64 MiB, one that is empty and keeps room. */
const machine = (window: string, reserve: string, pin = '{}') => `
pinbar: 1
machine: { arch: aarch64, board: none, ram: [{ base: 0x0, size: 64KiB }] }
hostBridges:
  - id: pcie.0
    windows: [{ type: mem32, base: 0x10000000, size: 512MiB }, ${window}]
    functions:
      - id: rp1
        slot: "1.0"
        bridge:
          kind: root-port
          functions: [{ id: dev0, slot: "0.0", bars: [{ index: 0, type: mem64, prefetchable: true, size: 64MiB }] }]
      - { id: rp2, slot: "2.0", bridge: { kind: root-port, hotplug: pcie, reserve: ${reserve}, pin: ${pin} } }
`;

async function windows(...of: Parameters<typeof machine>) {
  const plan = place(await loadMachine(machine(...of), 'm.yaml'));
  expect(plan.status).toBe('placed');
  return (plan as Plan).bridges.find(({ id }) => id === 'rp2');
}

const WIDE = '{ type: mem64, base: 0x8000000000, size: 64GiB }';

describe('hotplug room', () => {
  it('lies so that a BAR of its size fits, whatever lies beside it', async () => {
    const room = await windows(WIDE, '{ prefetchable: 1GiB, memory: 16MiB }');
    expect(room?.prefetchable).toMatchObject({ base: 0x80_0000_0000n, size: 1n << 30n });
    expect(room!.memory!.base % (16n << 20n)).toBe(0n);
    expect(room!.memory!.size).toBe(16n << 20n);
  });

  it('of no power of two lies so that the largest BAR in it fits', async () => {
    const room = await windows(WIDE, '{ prefetchable: 3GiB }');
    expect(room!.prefetchable!.base % (2n << 30n)).toBe(0n);
    expect(room!.prefetchable!.size).toBe(3n << 30n);
  });

  it('lies as it can where it cannot lie so: less room is better than no plan', async () => {
    const odd = '{ type: mem64, base: 0x8010000000, size: 0x44000000 }';
    expect((await windows(odd, '{ prefetchable: 1GiB }'))?.prefetchable?.size).toBe(1n << 30n);
    const pinned = await windows(
      WIDE,
      '{ prefetchable: 1GiB }',
      '{ prefetchable: { base: 0x8010000000, size: 1GiB } }',
    );
    expect(pinned?.prefetchable).toMatchObject({ base: 0x80_1000_0000n });
  });
});
