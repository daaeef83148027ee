import { describe, expect, it } from 'vitest';
import { encodeCells, type DeviceTreeNode } from '../devicetree/tree.js';
import { treeFunctions } from './device-tree-functions.js';

const source = { file: 'tree.dtb', line: 0 };
const node = (
  name: string,
  properties: Readonly<Record<string, readonly number[]>>,
  ...children: DeviceTreeNode[]
) => ({
  name,
  properties: Object.entries(properties).map(([key, values]) => ({ name: key, value: encodeCells(values) })),
  children,
});

describe('functions in a device tree', () => {
  it('are not there where a board’s own tree only hangs properties on a slot', () => {
    const slot = node(
      'pcie@0,0',
      { reg: [0, 0, 0, 0, 0], 'bus-range': [1, 255], ranges: [] },
      node('wifi@0', { reg: [0x10000, 0, 0, 0, 0] }),
    );
    expect(treeFunctions(node('pcie', {}, slot), 0, source)).toEqual([]);
  });

  it('have the sizes of reg, and an address where one is assigned', () => {
    const reg = [0x10800, 0, 0, 0, 0, 0x4301_0818, 0, 0, 1, 0, 0x0201_0810, 0, 0, 0, 0x1000];
    const assigned = [0x4301_0818, 0x6b80, 0, 1, 0];
    const [fn, ...others] = treeFunctions(
      node(
        'pcie',
        {},
        node('dev@1', { 'vendor-id': [0x10de], 'device-id': [0x2330], reg, 'assigned-addresses': assigned }),
      ),
      2,
      source,
    );
    expect(others).toEqual([]);
    expect(fn).toMatchObject({
      address: { segment: 2, bus: 1, device: 1, fn: 0 },
      vendor: 0x10de,
      device: 0x2330,
      isBridge: false,
      resources: [
        {
          name: 2,
          space: 'memory',
          wide: true,
          prefetchable: true,
          size: 1n << 32n,
          placement: { state: 'assigned', address: 0x6b80_0000_0000n },
        },
        {
          name: 0,
          space: 'memory',
          wide: false,
          prefetchable: false,
          size: 0x1000n,
          placement: { state: 'unassigned' },
        },
      ],
    });
  });

  it('may be cut off: what is no whole entry means nothing', () => {
    const fns = treeFunctions(
      node('pcie', {}, node('dev@1', { 'vendor-id': [1], reg: [0x800, 0, 0, 0, 0, 0x0200_0810, 0] })),
      0,
      source,
    );
    expect(fns.map(({ resources }) => resources)).toEqual([[]]);
  });
});
