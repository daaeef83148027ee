import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { bar, bridge, endpoint, machineOf, anyMachine } from '../../../test/machines.js';
import { MemoryTree, systemOf, writeTree, type TreeEntry } from '../../../test/support/system-tree.js';
import { GiB, KiB, MiB } from '../../address/kinds.js';
import type { AddressRange } from '../../address/range.js';
import { fileTree } from '../../host/file-tree.js';
import { formatBdf } from '../../pci/bdf.js';
import type { Plan } from '../../place/plan.js';
import { Problem } from '../../problem/problem.js';
import { withoutIdentity } from '../capture/anonymous.js';
import { captureFrom } from '../capture/load.js';
import type { Capture } from '../capture/model.js';
import { captureText, captureToJson } from '../capture/save.js';
import { readSystem } from './read-system.js';

const nic = endpoint('nic', '0.0', [bar(0, 'mem64', 32n * MiB, true), { ...bar(2, 'io', 32n), pin: 0x1000n }], {
  vendor: 0x15b3,
  device: 0x1017,
  rom: { size: 1n * MiB },
  sriov: { totalVfs: 16, firstVfOffset: 1, vfStride: 1, bars: [bar(0, 'mem64', 2n * MiB, true)] },
});
const gpu = endpoint('gpu', '0.0', [bar(0, 'mem32', 16n * MiB), bar(2, 'mem64', 64n * GiB, true)]);
const machine = machineOf([
  bridge('rp1', '1.0', 'root-port', [
    bridge('up', '0.0', 'upstream-port', [
      bridge('dn0', '0.0', 'downstream-port', [gpu]),
      bridge('dn1', '1.0', 'downstream-port', [nic]),
    ]),
  ]),
  endpoint('disk', '3.0', [bar(0, 'mem32', 4n * KiB)]),
]);

const say = (range: AddressRange | null | undefined) => range?.toString() ?? 'closed';

/** Every address of a plan and of a capture, in the same words. */
const planned = (plan: Plan) =>
  plan.functions.flatMap((fn) => [
    ...fn.bars.map(
      (one) => `${formatBdf(fn.address)} ${one.index} ${one.type} ${one.prefetchable} ${one.size} ${one.address}`,
    ),
    ...(fn.rom ? [`${formatBdf(fn.address)} rom ${fn.rom.size} ${fn.rom.address}`] : []),
    ...(fn.sriov?.bars ?? []).map(
      (one) => `${formatBdf(fn.address)} vf${one.index} ${one.size} ${one.size * BigInt(one.count)} ${one.address}`,
    ),
  ]);
const captured = (capture: Capture, kind: 'address' | 'busAddress') =>
  capture.functions.flatMap((fn) => [
    ...fn.bars.map(
      (one) =>
        `${formatBdf(fn.address)} ${one.index} ${one.type} ${one.prefetchable ?? false} ${one.size} ${one[kind]}`,
    ),
    ...(fn.rom ? [`${formatBdf(fn.address)} rom ${fn.rom.size} ${fn.rom[kind]}`] : []),
    ...fn.vfBars.map((one) => `${formatBdf(fn.address)} vf${one.index} ${one.size} ${one.groupSize} ${one[kind]}`),
  ]);

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pinbar-scan-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

describe('a host’s sysfs', () => {
  it('is captured: every BAR, ROM, VF BAR, window and bridge above', async () => {
    const { plan, files } = await systemOf(machine);
    const capture = readSystem(new MemoryTree(files));
    expect(captured(capture, 'address')).toEqual(planned(plan));
    expect(captured(capture, 'busAddress')).toEqual(planned(plan));
    expect(
      capture.functions.flatMap(({ address, windows, buses, parent }) =>
        windows
          ? [
              `${formatBdf(address)} ${buses?.secondary}-${buses?.subordinate} ${say(windows.memory?.range)} ${say(windows.prefetchable?.busRange)} ${parent && formatBdf(parent)}`,
            ]
          : [],
      ),
    ).toEqual(
      plan.bridges.map(
        (one) =>
          `${formatBdf(one.address)} ${one.secondary}-${one.subordinate} ${say(one.memory)} ${say(one.prefetchable)} ${one.primary === 0 ? 'null' : formatBdf(plan.bridges.find((other) => other.secondary === one.primary)!.address)}`,
      ),
    );
    expect(capture.functions.map(({ portType, hotplug }) => `${portType} ${hotplug}`)).toEqual([
      'root-port none',
      'integrated-endpoint undefined',
      'upstream-port undefined',
      'downstream-port none',
      'downstream-port none',
      'endpoint undefined',
      'endpoint undefined',
    ]);
    expect(capture.functions.at(-1)).toMatchObject({ vendor: 0x15b3, device: 0x1017, sriov: { totalVfs: 16 } });
    expect(capture.conflicts).toEqual([]);
    expect(capture.missing).toEqual([]);
    expect(capture.host).toEqual({ kernel: '6.12.0-test', commandLine: 'root=UUID=0 pci=realloc' });
  });

  it('of any machine is captured, and its text says the same', async () => {
    await fc.assert(
      fc.asyncProperty(anyMachine, async (random) => {
        const { plan, files } = await systemOf(random).catch(() => ({ plan: undefined, files: undefined }));
        // Not every machine has a plan.
        fc.pre(plan !== undefined && plan.functions.length > 0);
        const capture = readSystem(new MemoryTree(files));
        expect(captured(capture, 'address')).toEqual(planned(plan));
        expect(captureFrom(JSON.parse(captureText(capture)))).toEqual(capture);
      }),
      { numRuns: 25 },
    );
  });

  it('read by an ordinary user: the kernel’s numbers, and what root would have added', async () => {
    const { plan, files } = await systemOf(machine, { root: false });
    const capture = readSystem(new MemoryTree(files, true));
    expect(captured(capture, 'address').map((line) => line.replace(' undefined ', ' x '))).toEqual(
      // How many VFs there are stands in config space: without it a group's size is known, and not one VF's.
      planned(plan).map((line) => line.replace(/(vf0) \d+ /, '$1 x ')),
    );
    expect(capture.missing.map(({ what, why, functions }) => [what, why, functions])).toEqual([
      ['/proc/iomem', 'root', undefined],
      ['/proc/ioports', 'root', undefined],
      ['config space beyond the first 64 bytes', 'root', 7],
    ]);
  });

  it('copied with tar, which fills files up with zeros: they are not taken for registers', async () => {
    const plain = readSystem(new MemoryTree((await systemOf(machine, { root: false })).files));
    const padded = readSystem(new MemoryTree((await systemOf(machine, { root: false, padded: true })).files));
    expect(captureToJson(padded)).toEqual(captureToJson(plain));
    const whole = readSystem(new MemoryTree((await systemOf(machine)).files));
    expect(captureToJson(readSystem(new MemoryTree((await systemOf(machine, { padded: true })).files)))).toEqual(
      captureToJson(whole),
    );
  });

  it('without its PCI at all is refused with what to copy', () => {
    const read = () => readSystem(new MemoryTree(new Map<string, TreeEntry>([['/proc/version', 'Linux version 6']])));
    expect(read).toThrow(Problem);
    expect(read).toThrow(/shows no PCI functions/);
  });

  it('shows what files say beside it: groups, drivers, VFs, resizable BARs, SR-IOV', async () => {
    const { files } = await systemOf(machine, { root: false });
    const more = new Map(files);
    const folder = [...files.keys()]
      .find((path) => path.endsWith('0000:04:00.0/resource'))!
      .slice(0, -'/resource'.length);
    more.set(`${folder}/driver`, { link: '../../../../bus/pci/drivers/vfio-pci' });
    more.set(`${folder}/iommu_group`, { link: '../../../../kernel/iommu_groups/15' });
    more.set(`${folder}/numa_node`, '1\n');
    more.set(`${folder}/resource0_resize`, '00000000000000c0\n');
    more.set(`${folder}/sriov_totalvfs`, '16\n');
    more.set(`${folder}/sriov_numvfs`, '0\n');
    more.set(`${folder}/sriov_vf_device`, '1018\n');
    more.set('/sys/kernel/iommu_groups/15/reserved_regions', '0x0000000008000000 0x00000000080fffff msi\nnonsense\n');
    more.set('/sys/class/iommu/dmar0', { link: '../../devices/virtual/iommu/dmar0' });
    more.set('/sys/devices/virtual/iommu/dmar0/intel-iommu/cap', 'd2008c40660462\n');
    const capture = readSystem(new MemoryTree(more));
    expect(capture.functions.at(-1)).toMatchObject({
      driver: 'vfio-pci',
      iommuGroup: 15,
      numaNode: 1,
      resizable: [{ index: 0, sizes: [64n * MiB, 128n * MiB] }],
      sriov: { totalVfs: 16, numVfs: 0, vfDevice: 0x1018 },
      vfBars: [{ index: 0, size: 2n * MiB }],
    });
    expect(
      capture.iommuGroups.map(({ group, reserved }) => [
        group,
        ...reserved.map(({ range, type }) => `${range.toString()} ${type}`),
      ]),
    ).toEqual([[15, '0x8000000-0x80fffff msi']]);
    expect(capture.host.iommus).toEqual([{ name: 'dmar0', addressBits: 39 }]);
  });
});

describe('a copy on disk', () => {
  it('is read as the same in memory', async () => {
    const { files } = await systemOf(machine);
    const folder = scratch();
    writeTree(folder, files);
    const [onDisk, inMemory] = [readSystem(fileTree(folder)), readSystem(new MemoryTree(files))];
    const without = (of: ReturnType<typeof captureToJson>) => ({ ...of, sources: [] });
    expect(without(captureToJson(onDisk))).toEqual(without(captureToJson(inMemory)));
  });

  it('whose links lead out of it, and which has a pipe for a file: nothing outside is read, and nothing waits', async () => {
    const folder = scratch();
    const outside = scratch();
    writeTree(outside, (await systemOf(machine)).files);
    mkdirSync(join(folder, 'sys/bus/pci/devices'), { recursive: true });
    symlinkSync(
      join(outside, 'sys/devices/platform/4010000000.pcie/pci0000:00/0000:00:01.0'),
      join(folder, 'sys/bus/pci/devices/0000:00:01.0'),
    );
    const own = join(folder, 'sys/devices/pci0000:00/0000:00:02.0');
    mkdirSync(own, { recursive: true });
    symlinkSync('../../../devices/pci0000:00/0000:00:02.0', join(folder, 'sys/bus/pci/devices/0000:00:02.0'));
    writeFileSync(join(outside, 'secret'), '0x8086\n');
    symlinkSync(join(outside, 'secret'), join(own, 'vendor'));
    execFileSync('mkfifo', [join(own, 'config'), join(own, 'resource')]);
    const capture = readSystem(fileTree(folder));
    expect(capture.functions.map(({ address, vendor, config }) => [formatBdf(address), vendor, config])).toEqual([
      ['0000:00:02.0', undefined, undefined],
    ]);
  });

  it('that is not there is refused', () => {
    expect(() => fileTree('/nowhere/at/all')).toThrow(/cannot read the folder .*: there is no such folder/);
  });
});

describe('a capture without identity', () => {
  it('has neither serial numbers, nor unknown registers, nor values of parameters; addresses stay', async () => {
    const { files } = await systemOf(machine);
    const config = new Uint8Array(0x1000);
    const view = new DataView(config.buffer);
    view.setUint32(0x00, 0x1017_15b3, true);
    view.setUint32(0x04, 0x0010_0006, true);
    view.setUint32(0x08, 0x0200_0000, true);
    view.setUint32(0x34, 0x40, true);
    view.setUint32(0x40, 0x0002_0010, true); // PCI Express
    view.setUint32(0xf0, 0x5ec2e7, true); // Of no capability.
    view.setUint32(0x100, 0x1101_0003, true); // Device Serial Number, then at 0x110
    view.setUint32(0x104, 0x5ec2e7aa, true);
    view.setUint32(0x108, 0x5ec2e7bb, true);
    view.setUint32(0x110, 0x0001_000d, true); // ACS
    view.setUint32(0x114, 0x001d_001f, true);
    const folder = [...files.keys()].find((path) => path.endsWith('0000:00:03.0/config'))!;
    const capture = readSystem(new MemoryTree(new Map([...files, [folder, config]])));
    const disk = (of: Capture) => of.functions.find(({ address }) => formatBdf(address) === '0000:00:03.0')!;
    expect(disk(capture).serial).toBe(0x5ec2e7bb_5ec2e7aan);
    const anonymous = withoutIdentity(capture);
    const text = captureText(anonymous);
    expect(text).not.toMatch(/5ec2e7|aa e7 c2 5e|e7 c2 5e/i);
    expect(text).not.toContain('UUID');
    expect(anonymous.host).toEqual({ kernel: '6.12.0', commandLine: 'root=removed pci=realloc' });
    expect(disk(anonymous)).toMatchObject({
      vendor: 0x15b3,
      acs: { enabled: ['sourceValidation', 'requestRedirect', 'completionRedirect', 'upstreamForwarding'] },
    });
    expect(disk(anonymous).config?.has(0x104)).toBe(false);
    expect(disk(anonymous).config?.has(0xf0)).toBe(false);
    expect(disk(anonymous).config?.u32(0x114)).toBe(0x001d_001f);
    expect(captured(anonymous, 'address')).toEqual(captured(capture, 'address'));
    // It can be read again, and nothing more comes out of it.
    expect(captureText(withoutIdentity(captureFrom(JSON.parse(text))))).toBe(text);
  });
});
