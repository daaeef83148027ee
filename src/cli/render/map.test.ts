import { describe, expect, it } from 'vitest';
import { machineFrom } from '../../machine/load.js';
import { place } from '../../place/place.js';
import { styleFor } from '../io.js';
import { renderMap } from './map.js';

const style = styleFor({ write: () => undefined, isTTY: false, columns: 80 }, {});

function mapOf(file: object): string {
  const machine = machineFrom({ pinbar: 1, machine: { arch: 'aarch64', board: 'none', ram: [] }, ...file }, 'test');
  const plan = place(machine);
  if (plan.status !== 'placed') throw new Error(plan.status);
  return renderMap(plan, style, machine.reserved);
}

const bar = { index: 0, type: 'mem32', size: '1MiB' };

describe('the map', () => {
  it('shows each device under its own host bridge, also where two have the same bus addresses', () => {
    const window = { type: 'mem32', base: 0x8000_0000, size: '2MiB' };
    const map = mapOf({
      hostBridges: [
        { id: 'a', buses: [0, 15], windows: [window], functions: [{ id: 'd0', slot: '1.0', bars: [bar] }] },
        {
          id: 'b',
          buses: [16, 31],
          windows: [{ ...window, cpuBase: 0x9000_0000 }],
          functions: [{ id: 'd1', slot: '1.0', bars: [bar] }],
        },
      ],
    });
    expect(map).toBe(
      [
        'a mem32  0x80000000-0x801fffff  2 MiB',
        `  [${'='.repeat(30)}${'.'.repeat(30)}]`,
        '  0x80000000-0x800fffff  d0 BAR 0  1 MiB',
        '  0x80100000-0x801fffff  free  1 MiB',
        '',
        'b mem32  0x80000000-0x801fffff  2 MiB  CPU 0x90000000',
        `  [${'='.repeat(30)}${'.'.repeat(30)}]`,
        '  0x80000000-0x800fffff  d1 BAR 0  1 MiB',
        '  0x80100000-0x801fffff  free  1 MiB',
        '',
      ].join('\n'),
    );
  });

  it('does not call free what is reserved or RAM, as a bus address or as a CPU address', () => {
    const map = mapOf({
      machine: { arch: 'aarch64', board: 'none', ram: [{ base: 0x9010_0000, size: '1MiB' }] },
      reserved: [{ base: 0x7ff0_0000, size: '2MiB', reason: 'MSI window' }],
      hostBridges: [
        {
          id: 'a',
          windows: [{ type: 'mem32', base: 0x8000_0000, size: '4MiB', cpuBase: 0x9000_0000 }],
          functions: [{ id: 'd', slot: '1.0', bars: [bar] }],
        },
      ],
    });
    expect(map.split('\n').slice(1)).toEqual([
      `  [${'x'.repeat(30)}${'='.repeat(15)}${'.'.repeat(15)}]`,
      '  0x80000000-0x800fffff  reserved: MSI window  1 MiB',
      '  0x80100000-0x801fffff  RAM  1 MiB',
      '  0x80200000-0x802fffff  d BAR 0  1 MiB',
      '  0x80300000-0x803fffff  free  1 MiB',
      '',
    ]);
  });
});
