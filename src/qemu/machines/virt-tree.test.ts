import { describe, expect, it } from 'vitest';
import { treeNode, virtHostBridge, virtTree } from '../../../test/support/virt-tree.js';
import { AddressRange } from '../../address/range.js';
import { memoryRanges } from '../../devicetree/memory.js';
import { pciHostBridges } from '../../devicetree/pci.js';
import { encodeCells, findNode } from '../../devicetree/tree.js';
import { virtMachine, type VirtOptions } from './virt-tree.js';

const qemu = { major: 7, minor: 2, micro: 22, text: '7.2.22' };
const options: VirtOptions = { arch: 'aarch64', lowPorts: false, otherRootBuses: [], qemu };
const HIGH = 0x80_0000_0000n;

describe('a virt board by its device tree', () => {
  it('has its host bridge, config space, RAM and windows', () => {
    const machine = virtMachine(virtTree(virtHostBridge), options);
    expect(machine.hosts).toEqual([{ id: 'pcie.0', segment: 0, buses: [0, 255] }]);
    expect(machine.ecam).toEqual([{ segment: 0, base: 0x40_1000_0000n, firstBus: 0, lastBus: 255 }]);
    expect(machine.base).toMatchObject({ arch: 'aarch64', board: 'virt', physicalAddressBits: undefined });
    expect(machine.base.ram.map(String)).toEqual(['0x40000000-0xbfffffff']);
    expect(machine.base.windows['pcie.0']).toMatchObject([
      // The lowest 4 KiB of ports are left alone, as Linux does.
      { type: 'io', base: 0x1000n, size: 0xf000n, cpuBase: 0x3eff_1000n },
      { type: 'mem32', base: 0x1000_0000n, size: 0x2eff_0000n, cpuBase: 0x1000_0000n },
      { type: 'mem64', base: HIGH, size: HIGH, cpuBase: HIGH },
    ]);
  });

  it('hands out the lowest ports where something is pinned there', () => {
    const { base } = virtMachine(virtTree(virtHostBridge), { ...options, lowPorts: true });
    expect(base.windows['pcie.0']?.[0]).toMatchObject({ base: 0n, size: 0x1_0000n, cpuBase: 0x3eff_0000n });
  });

  it('keeps the bus numbers of other root buses for them', () => {
    const machine = virtMachine(virtTree(virtHostBridge), { ...options, otherRootBuses: [0xc0, 0x40] });
    expect(machine.hosts[0]?.buses).toEqual([0, 0x3f]);
    expect(machine.ecam[0]?.lastBus).toBe(255);
  });

  it('tells the guest to keep what it finds, and changes nothing else', () => {
    const tree = virtTree(virtHostBridge);
    const kept = virtMachine(tree, options).keep(tree);
    const [before] = pciHostBridges(tree);
    const [after] = pciHostBridges(kept);
    expect(before).toMatchObject({ probeOnly: false, enumerationDone: false });
    expect(after).toEqual({ ...before, probeOnly: true, enumerationDone: true });
  });

  it('with pcie-mmio-window only that part of the 64-bit window is used, and the guest sees no more', () => {
    const tree = virtTree(virtHostBridge);
    const mmioWindow = { base: 0xc0_0000_0000n, size: 0x40_0000_0000n };
    const machine = virtMachine(tree, { ...options, mmioWindow });
    expect(machine.base.windows['pcie.0']?.[2]).toMatchObject({
      type: 'mem64',
      ...mmioWindow,
      cpuBase: mmioWindow.base,
    });
    const windows = pciHostBridges(machine.keep(tree))[0]?.windows;
    expect(windows?.[2]).toMatchObject({ type: 'mem64', ...mmioWindow, cpuBase: mmioWindow.base, prefetchable: true });
    // The guest still sees all ports: only pinbar leaves the lowest alone.
    expect(windows?.[0]).toMatchObject({ type: 'io', base: 0n, size: 0x1_0000n });
  });

  it('with more RAM the guest is told of all of it, behind the board’s own, and the windows are cut around it', () => {
    const tree = virtTree(virtHostBridge);
    const ram = [AddressRange.sized(0xc0_0000_0000n, 0x1_0000_0000n), AddressRange.sized(HIGH, 0x4000_0000n)];
    const machine = virtMachine(tree, { ...options, moreRam: ram });
    expect(machine.base.ram.map(String)).toEqual([
      '0x40000000-0xbfffffff',
      '0x8000000000-0x803fffffff',
      '0xc000000000-0xc0ffffffff',
    ]);
    const high = [
      { type: 'mem64', base: 0x80_4000_0000n, cpuBase: 0x80_4000_0000n, size: 0x3f_c000_0000n },
      { type: 'mem64', base: 0xc1_0000_0000n, cpuBase: 0xc1_0000_0000n, size: 0x3f_0000_0000n },
    ];
    expect(machine.base.windows['pcie.0']?.slice(2)).toMatchObject(high);
    const kept = machine.keep(tree);
    expect(kept.root.children.map(({ name }) => name).slice(0, 3)).toEqual([
      'memory@40000000',
      'memory@c000000000',
      'memory@8000000000',
    ]);
    expect(memoryRanges(kept).ram.ranges).toEqual(machine.base.ram);
    expect(pciHostBridges(kept)[0]?.windows.slice(2)).toMatchObject(high);
  });

  it('of a NUMA machine: more RAM belongs to the first node, as whoever reads one node’s id reads all', () => {
    const tree = virtTree(virtHostBridge);
    const numa = {
      ...tree,
      root: {
        ...tree.root,
        children: tree.root.children.map((node, i) =>
          i === 0
            ? { ...node, properties: [...node.properties, { name: 'numa-node-id', value: encodeCells([3]) }] }
            : node,
        ),
      },
    };
    const kept = virtMachine(numa, { ...options, moreRam: [AddressRange.sized(HIGH, 0x4000_0000n)] }).keep(numa);
    expect(findNode(kept, '/memory@8000000000')?.node.properties.at(-1)).toEqual({
      name: 'numa-node-id',
      value: encodeCells([3]),
    });
  });

  it.each([
    [{ base: 0x4000_0000_0000n, size: 0x4000_0000_0000n }, '0x400000000000-0x7fffffffffff'],
    [{ base: HIGH, size: 2n * HIGH }, '0x8000000000-0x17fffffffff'],
    [{ base: 0x1000_0000n, size: 0x1000_0000n }, '0x10000000-0x1fffffff'],
  ])('a pcie-mmio-window that the machine does not have is refused, with the one that it has', (mmioWindow, asked) => {
    expect(() => virtMachine(virtTree(virtHostBridge), { ...options, mmioWindow })).toThrow(
      expect.objectContaining({
        code: 'window-not-there',
        exit: 3,
        message: expect.stringContaining(
          `asks for ${asked}, and this machine has 0x8000000000-0xffffffffff (QEMU 7.2.22)`,
        ) as string,
      }) as Error,
    );
  });

  it('without PCI Express there is nothing to pin', () => {
    for (const tree of [virtTree(), virtTree(treeNode('pci@1', { compatible: 'something-else' }))]) {
      expect(() => virtMachine(tree, options)).toThrow(
        expect.objectContaining({ code: 'devicetree-no-host-bridge', exit: 1 }) as Error,
      );
    }
  });
});
