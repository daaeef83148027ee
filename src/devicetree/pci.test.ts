import { describe, expect, it } from 'vitest';
import { AddressRange } from '../address/range.js';
import { addNode, removeNode, removeProperty, setProperty } from './edit.js';
import { keepPciSetup } from './keep.js';
import { memoryRanges } from './memory.js';
import { parseDeviceTree } from './parse.js';
import { pciHostBridges } from './pci.js';
import {
  encodeCells,
  encodeStrings,
  findNode,
  propertyOf,
  stringsOf,
  u32Of,
  type DeviceTree,
  type DeviceTreeNode,
} from './tree.js';
import { writeDeviceTree } from './write.js';

type Value = number[] | string[] | true;
const bytesOf = (value: Value): Uint8Array =>
  value === true
    ? new Uint8Array(0)
    : typeof value[0] === 'string'
      ? encodeStrings(...(value as string[]))
      : encodeCells(value as number[]);
const node = (name: string, properties: Record<string, Value>, ...children: DeviceTreeNode[]): DeviceTreeNode => ({
  name,
  properties: Object.entries(properties).map(([key, value]) => ({ name: key, value: bytesOf(value) })),
  children,
});

/** What QEMU's aarch64 `virt` describes, as far as it matters here. */
const pcie = node('pcie@10000000', {
  compatible: ['pci-host-ecam-generic'],
  device_type: ['pci'],
  '#address-cells': [3],
  '#size-cells': [2],
  'linux,pci-domain': [0],
  'bus-range': [0, 255],
  'dma-coherent': true,
  reg: [0x40, 0x10000000, 0, 0x10000000],
  ranges: [
    ...[0x01000000, 0, 0, 0, 0x3eff0000, 0, 0x10000],
    ...[0x02000000, 0, 0x10000000, 0, 0x10000000, 0, 0x2eff0000],
    ...[0x43000000, 0x80, 0, 0x80, 0, 0x80, 0],
  ],
});
const virt: DeviceTree = {
  totalSize: 1 << 20,
  bootCpu: 0,
  reservations: [{ address: 0x48000000n, size: 0x1000n }],
  root: node(
    '',
    { '#address-cells': [2], '#size-cells': [2], compatible: ['linux,dummy-virt'] },
    pcie,
    node('pl011@9000000', {
      compatible: ['arm,pl011', 'arm,primecell'],
      reg: [0, 0x9000000, 0, 0x1000],
      phandle: [0x8001],
    }),
    node('secram@e000000', { device_type: ['memory'], status: ['disabled'], reg: [0, 0xe000000, 0, 0x1000000] }),
    node('memory@40000000', { device_type: ['memory'], reg: [0, 0x40000000, 0, 0x40000000, 1, 0, 0, 0x40000000] }),
    node(
      'reserved-memory',
      { '#address-cells': [2], '#size-cells': [2], ranges: true },
      node('keep@4fff0000', { reg: [0, 0x4fff0000, 0, 0x10000], 'no-map': true }),
      node('pool', { size: [0, 0x100000] }),
    ),
    node('chosen', { bootargs: ['console=ttyAMA0'], 'stdout-path': ['/pl011@9000000'] }),
    node('aliases', { serial0: ['/pl011@9000000'] }),
  ),
};

describe('looking things up', () => {
  it.each(['/pl011@9000000', '/pl011', 'serial0'])('finds %s', (path) => {
    expect(findNode(virt, path)?.path).toBe('/pl011@9000000');
  });
  it.each(['/pl01', '/pl011@9000001', '/pl011/x', 'serial1'])('does not find %s', (path) => {
    expect(findNode(virt, path)).toBeUndefined();
  });
  it('reads typed values, and refuses a value of another length', () => {
    const uart = findNode(virt, '/pl011')!.node;
    expect(u32Of(uart, 'phandle')).toBe(0x8001);
    expect(u32Of(uart, 'absent')).toBeUndefined();
    expect(stringsOf(uart, 'compatible')).toEqual(['arm,pl011', 'arm,primecell']);
    expect(() => u32Of(uart, 'reg')).toThrow(expect.objectContaining({ code: 'devicetree-property' }) as Error);
  });
});

describe('PCI host bridges', () => {
  it('decodes ECAM, buses and windows', () => {
    expect(pciHostBridges(virt)).toEqual([
      {
        path: '/pcie@10000000',
        compatible: 'pci-host-ecam-generic',
        config: { base: 0x4010000000n, size: 0x10000000n },
        buses: [0, 255],
        segment: 0,
        windows: [
          { type: 'io', base: 0n, cpuBase: 0x3eff0000n, size: 0x10000n, prefetchable: false },
          { type: 'mem32', base: 0x10000000n, cpuBase: 0x10000000n, size: 0x2eff0000n, prefetchable: false },
          { type: 'mem64', base: 0x8000000000n, cpuBase: 0x8000000000n, size: 0x8000000000n, prefetchable: true },
        ],
        dmaCoherent: true,
        enumerationDone: false,
        probeOnly: false,
      },
    ]);
  });

  it('translates through the buses above, and derives the bus numbers from the size of config space', () => {
    const soc = node(
      'soc',
      { '#address-cells': [1], '#size-cells': [1], ranges: [0x1000, 1, 0, 0x1000000] },
      node('pci@2000', {
        compatible: ['pci-host-cam-generic'],
        '#address-cells': [3],
        '#size-cells': [2],
        reg: [0x2000, 0x20000],
        ranges: [0x02000000, 0, 0x40000000, 0x100000, 0, 0x10000],
      }),
    );
    const tree = { ...virt, root: node('', { '#address-cells': [2], '#size-cells': [1] }, soc) };
    expect(pciHostBridges(tree)).toMatchObject([
      {
        path: '/soc/pci@2000',
        config: { base: 0x100001000n },
        buses: [0, 1],
        segment: undefined,
        windows: [{ cpuBase: 0x1000ff000n }],
      },
    ]);
    expect(() => pciHostBridges(removeProperty(tree, '/soc', 'ranges'))).toThrow(/ranges of soc are missing/);
  });

  it('leaves out a disabled host bridge', () => {
    expect(pciHostBridges(setProperty(virt, '/pcie', 'status', encodeStrings('disabled')))).toEqual([]);
  });

  it.each([
    ['ranges', encodeCells([1, 2, 3]), /no whole number of entries of 7/],
    ['ranges', encodeCells([0x02000000, 0xffffffff, 0xffffffff, 0, 0, 0, 0x1000]), /past its address space/],
    ['#size-cells', encodeCells([1]), /PCI needs 3 and 2/],
    ['#address-cells', encodeCells([0x7fffffff]), /at most 4/],
    ['bus-range', encodeCells([3, 1]), /two bus numbers/],
    ['reg', encodeCells([0]), /no whole number/],
  ])('a malformed %s is a Problem', (name, value, message) => {
    expect(() => pciHostBridges(setProperty(virt, '/pcie', name, value))).toThrow(message);
  });
});

describe('keeping the PCI set-up', () => {
  it('tells firmware and every kernel, and changes nothing else', () => {
    const kept = keepPciSetup(virt);
    expect(u32Of(findNode(kept, '/chosen')!.node, 'linux,pci-probe-only')).toBe(1);
    expect(u32Of(findNode(kept, '/pcie')!.node, 'linux,pci-probe-only')).toBe(1);
    expect(u32Of(findNode(kept, '/pcie')!.node, 'pci-enum-done')).toBe(1);
    expect(pciHostBridges(kept)).toMatchObject([{ probeOnly: true, enumerationDone: true }]);
    let undone = removeProperty(kept, '/chosen', 'linux,pci-probe-only');
    for (const name of ['linux,pci-probe-only', 'pci-enum-done']) undone = removeProperty(undone, '/pcie', name);
    expect(undone).toEqual(virt);
    expect(propertyOf(findNode(virt, '/pcie')!.node, 'pci-enum-done')).toBeUndefined();
    expect(stringsOf(findNode(kept, '/chosen')!.node, 'bootargs')).toEqual(['console=ttyAMA0']);
  });

  it('overrides what the host bridge said itself, as newer kernels ask it first', () => {
    const refused = setProperty(virt, '/pcie', 'linux,pci-probe-only', encodeCells([0]));
    const chosen = setProperty(refused, '/chosen', 'linux,pci-probe-only', encodeCells([1]));
    expect(pciHostBridges(chosen)[0]?.probeOnly).toBe(false);
    expect(pciHostBridges(keepPciSetup(chosen))[0]?.probeOnly).toBe(true);
  });

  it('writes narrower windows, and makes /chosen where there is none', () => {
    const windows = pciHostBridges(virt)[0]!.windows.map((window) =>
      window.type === 'mem64' ? { ...window, size: 0x4000000000n } : window,
    );
    const bare = removeNode(virt, '/chosen');
    const kept = keepPciSetup(bare, { windows: new Map([['/pcie@10000000', windows]]) });
    const blob = writeDeviceTree(kept, { totalSize: 1 << 20 });
    expect(pciHostBridges(parseDeviceTree(blob))[0]).toMatchObject({ windows, probeOnly: true });
  });

  it('refuses a tree without host bridge and a path that is none', () => {
    expect(() => keepPciSetup(removeNode(virt, '/pcie'))).toThrow(/no generic PCI host bridge/);
    expect(() => keepPciSetup(virt, { hostBridges: ['/pl011@9000000'] })).toThrow(
      expect.objectContaining({ code: 'devicetree-no-host-bridge', hint: 'it has /pcie@10000000' }) as Error,
    );
  });
});

describe('memory', () => {
  it('joins all enabled memory nodes and lists what is reserved', () => {
    const more = addNode(
      virt,
      '/',
      node('memory@80000000', { device_type: ['memory'], reg: [0, 0x80000000, 0, 0x1000000, 0, 0, 0, 0] }),
    );
    const { ram, reserved } = memoryRanges(more);
    expect(ram.ranges).toEqual([
      AddressRange.of(0x40000000n, 0x80ffffffn),
      AddressRange.of(0x100000000n, 0x13fffffffn),
    ]);
    expect(reserved).toEqual([
      { range: AddressRange.sized(0x48000000n, 0x1000n), name: '/memreserve/', noMap: false },
      { range: AddressRange.sized(0x4fff0000n, 0x10000n), name: 'keep@4fff0000', noMap: true },
    ]);
  });
  it('refuses RAM past 64 bits', () => {
    const wrong = setProperty(virt, '/memory@40000000', 'reg', encodeCells([0xffffffff, 0xfffff000, 0, 0x2000]));
    expect(() => memoryRanges(wrong)).toThrow(/no 64-bit CPU addresses/);
  });
});
