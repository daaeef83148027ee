import { describe, expect, it } from 'vitest';
import { flatView } from './flat-view.js';

/** QEMU 10.0.2, q35 with 3 GiB, as `info mtree -f` prints it; ports cut short. */
const mtree = `FlatView #0
 AS "memory", root: system
 AS "cpu-memory-0", root: system
 Root memory region: system
  0000000000000000-00000000000bffff (prio 0, ram): pc.ram
  00000000000c0000-00000000000dffff (prio 1, rom): pc.rom
  0000000000100000-000000007fffffff (prio 0, ram): pc.ram @0000000000100000
  00000000fed00000-00000000fed003ff (prio 0, i/o): hpet
  0000000100000000-000000013fffffff (prio 0, ram): pc.ram @0000000080000000 kvm

FlatView #1
 AS "I/O", root: io
 Root memory region: io
  0000000000000072-000000000000007d (prio 0, i/o): io @0000000000000072
  0000000000005658-0000000000005658 (prio 0, i/o): vmport

FlatView #2
 AS "mch", root: bus master container
 Root memory region: (none)
  No rendered FlatView

`;
const shown = (text: string, space: string) =>
  flatView(text, space).map(({ range, kind, name }) => `${range.toString()} ${kind} ${name}`);

describe('info mtree -f', () => {
  it('has every address space once, whatever the line ends', () => {
    const memory = [
      '0x0-0xbffff ram pc.ram',
      '0xc0000-0xdffff rom pc.rom',
      '0x100000-0x7fffffff ram pc.ram',
      '0xfed00000-0xfed003ff i/o hpet',
      '0x100000000-0x13fffffff ram pc.ram',
    ];
    expect(shown(mtree, 'memory')).toEqual(memory);
    expect(shown(mtree.replaceAll('\n', '\r\n'), 'memory')).toEqual(memory);
    expect(shown(mtree, 'cpu-memory-0')).toEqual(memory);
    expect(shown(mtree, 'I/O')).toEqual(['0x72-0x7d i/o io', '0x5658-0x5658 i/o vmport']);
  });

  it.each(['mch', 'nothing', 'mem'])('%s: nothing is decoded there', (space) => {
    expect(shown(mtree, space)).toEqual([]);
  });
});
