import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { oneOfEverything, sourceOf } from '../../../test/support/export-source.js';
import { describeWith } from '../../../test/support/tools.js';
import { AddressRange } from '../../address/range.js';
import { memoryRanges } from '../../devicetree/memory.js';
import { parseDeviceTree } from '../../devicetree/parse.js';
import { pciHostBridges } from '../../devicetree/pci.js';
import { cellsOf, findNode } from '../../devicetree/tree.js';
import { xenGuest } from '../../devicetree/xen.js';
import { exportXen, exportXenDomain } from './dom0less.js';
import { exportXl } from './xl.js';

const onX86 = `
pinbar: 1
machine: { arch: x86_64, board: q35, ram: 4GiB }
hostBridges:
  - id: pcie.0
    functions:
      - { id: gpu, slot: "2.0", hostAddress: "0000:65:00.0", bars: [{ index: 0, type: mem32, size: 16MiB }] }
`;

describe('Xen', () => {
  it.each([
    ['xen', exportXen],
    ['xen-domain', exportXenDomain],
    ['xl', exportXl],
  ] as const)('%s, one of everything', async (_, write) => {
    const { content, notes } = write(await sourceOf(oneOfEverything));
    expect(`${content as string}\n${notes.join('\n')}`).toMatchSnapshot();
  });

  it('xl on x86', async () => {
    const { content, notes } = exportXl(await sourceOf(onX86));
    expect(`${content as string}\n${notes.join('\n')}`).toMatchSnapshot();
    await expect(sourceOf(onX86).then(exportXen)).rejects.toThrow(
      'the machine is x86_64, and this is for Xen guests on Arm',
    );
  });
});

describeWith('dtc', 'dtc', () => {
  const compiled = (source: string) => {
    const { stdout, stderr, status } = spawnSync('dtc', ['-I', 'dts', '-O', 'dtb'], { input: source });
    expect(stderr.toString()).toBe('');
    expect(status).toBe(0);
    return parseDeviceTree(new Uint8Array(stdout));
  };

  it('compiles the fragment, which has the windows of the plan and what is reserved', async () => {
    const source = await sourceOf(oneOfEverything);
    const tree = compiled(exportXen(source).content as string);
    expect(pciHostBridges(tree)).toMatchObject([
      {
        path: '/passthrough/pcie@4010000000',
        config: { base: 0x4010000000n, size: 0x10000000n },
        windows: source.plan.hostBridges[0]!.windows,
      },
    ]);
    expect(memoryRanges(tree).reserved).toEqual([
      { name: 'reserved@8000000', range: AddressRange.sized(0x8000000n, 0x100000n), noMap: true },
    ]);
  });

  it('compiles the domain’s node, which with the fragment is a guest: what answers before its IOREQ server, and what that claims', async () => {
    const source = await sourceOf(oneOfEverything);
    const domain = compiled(exportXenDomain(source).content as string);
    expect(cellsOf(findNode(domain, '/chosen/domU1')!.node, 'memory')).toEqual([0, 4 << 20]);
    const guest = xenGuest([domain, compiled(exportXen(source).content as string)]);
    expect(guest.domain).toEqual({
      path: '/chosen/domU1',
      trapUnmapped: false,
      background: [{ range: AddressRange.sized(0x4010000000n, 0x10000000n), value: (1n << 64n) - 1n }],
      ioreqRanges: [
        AddressRange.sized(0x4010000000n, 0x10000000n),
        ...source.plan.hostBridges[0]!.windows.map(({ cpuBase, size }) => AddressRange.sized(cpuBase, size)),
      ],
    });
    expect(guest.hosts.map(({ path }) => path)).toEqual(['/passthrough/pcie@4010000000']);
    expect(guest.reserved).toHaveLength(1);
  });
});
