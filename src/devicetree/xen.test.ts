import { describe, expect, it } from 'vitest';
import { AddressRange } from '../address/range.js';
import { encodeCells, encodeStrings, type DeviceTree, type DeviceTreeNode, type Property } from './tree.js';
import { encodeBackground, encodeIoreqRanges, xenGuest } from './xen.js';

const cells = (name: string, ...values: number[]): Property => ({ name, value: encodeCells(values) });
const text = (name: string, value: string): Property => ({ name, value: encodeStrings(value) });
const node = (name: string, properties: Property[], children: DeviceTreeNode[] = []): DeviceTreeNode => ({
  name,
  properties,
  children,
});
const two = [cells('#address-cells', 2), cells('#size-cells', 2)];
const treeOf = (...children: DeviceTreeNode[]): DeviceTree => ({
  totalSize: 0,
  bootCpu: 0,
  reservations: [],
  root: node('', two, children),
});
const domain = (...properties: Property[]) =>
  node('chosen', [], [node('domU1', [text('compatible', 'xen,domain'), ...properties])]);
const bridge = node('pcie@10000000', [
  text('compatible', 'pci-host-ecam-generic'),
  cells('#address-cells', 3),
  cells('#size-cells', 2),
  cells('reg', 0, 0x1000_0000, 0, 0x10_0000),
]);
const passthrough = node('passthrough', [...two, { name: 'ranges', value: new Uint8Array() }], [bridge]);

describe('the fragments of a Xen guest', () => {
  it('say nothing of the background where they say nothing: then accesses trap, as Xen has it', () => {
    expect(xenGuest([treeOf(domain(), passthrough)]).domain).toEqual({
      path: '/chosen/domU1',
      trapUnmapped: true,
      background: [],
      ioreqRanges: undefined,
    });
  });

  it('are read from two trees in any order, values of all 64 bits', () => {
    const background = [
      { range: AddressRange.of(0xffff_ffff_ffff_f000n, (1n << 64n) - 1n), value: 0x1_8000_0000_ffffn },
    ];
    const ranges = [AddressRange.sized(0x1000_0000n, 0x10_0000n), AddressRange.sized(0x40_0000_0000n, 1n << 38n)];
    const own = domain(
      cells('trap-unmapped-accesses', 0),
      cells('mmio-background-regions', ...encodeBackground(background)),
      cells('pinbar,ioreq-server-ranges', ...encodeIoreqRanges(ranges)),
    );
    for (const trees of [
      [treeOf(own), treeOf(passthrough)],
      [treeOf(passthrough), treeOf(own)],
    ]) {
      const guest = xenGuest(trees);
      expect(guest.domain).toMatchObject({ trapUnmapped: false, background, ioreqRanges: ranges });
      expect(guest.hosts).toMatchObject([{ path: '/passthrough/pcie@10000000', buses: [0, 0] }]);
    }
  });

  it.each<[string, DeviceTree[], string]>([
    ['no domain', [treeOf(passthrough)], 'there is no node of a domain (compatible "xen,domain")'],
    [
      'two domains',
      [treeOf(domain()), treeOf(domain(), passthrough)],
      'there are 2 domains: /chosen/domU1, /chosen/domU1',
    ],
    ['no host bridge', [treeOf(domain())], 'there is no host bridge (pci-host-ecam-generic) below /passthrough'],
    [
      'a host bridge of the host’s own',
      [treeOf(domain(), node('soc', [...two, { name: 'ranges', value: new Uint8Array() }], [bridge]))],
      'there is no host bridge',
    ],
    [
      'a cut property',
      [treeOf(domain(cells('mmio-background-regions', 0, 0, 0, 0x1000)), passthrough)],
      'mmio-background-regions of node domU1 has 4 cells, which is no whole number of entries of 6',
    ],
    [
      'an empty range',
      [treeOf(domain(cells('pinbar,ioreq-server-ranges', 0, 0x1000, 0, 0)), passthrough)],
      'pinbar,ioreq-server-ranges of node domU1 has 0x0 bytes from 0x1000, which are no addresses',
    ],
    [
      'a range past 64 bits',
      [treeOf(domain(cells('mmio-background-regions', 0xffff_ffff, 0xffff_f000, 0, 0x1001, 0, 0)), passthrough)],
      'which are no addresses',
    ],
    [
      'too many regions',
      [treeOf(domain(cells('mmio-background-regions', ...new Array<number>(6 * 257).fill(1))), passthrough)],
      'mmio-background-regions of /chosen/domU1 has more than 256 regions',
    ],
    [
      'a trap that is neither on nor off',
      [treeOf(domain(cells('trap-unmapped-accesses', 2)), passthrough)],
      'trap-unmapped-accesses of /chosen/domU1 is 2; Xen takes 0 and 1',
    ],
  ])('%s', (_, trees, message) => {
    expect(() => xenGuest(trees)).toThrow(message);
  });
});
