import { describe, expect, it } from 'vitest';
import { machineFrom } from '../machine/load.js';
import { place } from './place.js';

/*
 * Windows of which some resources can use a part: what fits at the lowest address may be what has to leave it to others.
 */

type Json = Readonly<Record<string, unknown>>;
const window = (type: string, base: string, size: string): Json => ({ type, base, size });
const bar = (type: string, size: string, index = 0): Json => ({ index, type, size });

function statusOf(hosts: readonly { readonly windows: readonly Json[]; readonly functions: readonly Json[] }[]) {
  const hostBridges = hosts.map((host, i) => ({ id: `pcie.${i}`, segment: i, ...host }));
  const machine = { arch: 'aarch64', board: 'none', ram: [{ base: '0x40000000', size: '1GiB' }] };
  return place(machineFrom({ pinbar: 1, machine, hostBridges }, 'test'), { remedies: false }).status;
}

describe('the exact search', () => {
  it('leaves a low 64-bit window to a prefetchable window that cannot lie above 4 GiB', () => {
    const windows = [window('mem64', '0x10000000', '2MiB'), window('mem64', '0x8000000000', '2MiB')];
    const behind = [{ id: 'dev', slot: '0.0', bars: [{ ...bar('mem64', '1MiB'), prefetchable: true }] }];
    const port = { id: 'rp', slot: '1.0', bridge: { kind: 'root-port', prefetchable: 32, functions: behind } };
    expect(statusOf([{ windows, functions: [port, { id: 'big', slot: '2.0', bars: [bar('mem64', '2MiB')] }] }])).toBe(
      'placed',
    );
  });

  it('leaves what two windows of a host bridge share to what can use one of them alone', () => {
    const windows = [
      window('mem32', '0x10300000', '6MiB'),
      window('mem64', '0x8000100000', '3MiB'),
      window('mem64', '0x10200000', '6MiB'),
    ];
    const bridge = { kind: 'root-port', io: 0, reserve: { memory: '1MiB' } };
    const functions = [
      { id: 'rp', slot: '0.0', bars: [bar('mem32', '1MiB')], bridge },
      { id: 'dev', slot: '1.0', bars: [bar('mem64', '4MiB'), bar('mem64', '2MiB', 2)] },
    ];
    expect(statusOf([{ windows, functions }])).toBe('placed');
  });

  it('leaves what windows of two host bridges share to the one that has nothing else', () => {
    const one = {
      windows: [window('mem64', '0x10000000', '2MiB'), window('mem64', '0x8000000000', '2MiB')],
      functions: [{ id: 'big', slot: '0.0', bars: [bar('mem64', '2MiB')] }],
    };
    const other = {
      windows: [window('mem64', '0x10100000', '1MiB')],
      functions: [{ id: 'small', slot: '0.0', bars: [bar('mem64', '1MiB')] }],
    };
    expect(statusOf([one, other])).toBe('placed');
  });
});
