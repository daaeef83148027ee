import { spawnSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseDeviceTree } from '../../src/devicetree/parse.js';
import {
  encodeCells,
  encodeStrings,
  findNode,
  splitCells,
  type DeviceTreeNode,
  type Property,
} from '../../src/devicetree/tree.js';
import { writeDeviceTree } from '../../src/devicetree/write.js';
import { output, readConsole, type Boot } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import { fastKernelArguments, kernelImage, qemuBinary, xenImage } from '../lab/lab.js';
import { pinbar, RunningPinbar } from '../lab/pinbar.js';
import { barOf, expectPlanInGuest, readPlan } from '../lab/plan-in-guest.js';
import { runToEnd } from '../lab/run.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';

/** QEMU's `virt`: where bus 0 has its config space, and ports are memory. */
const ECAM = 0x40_1000_0000n;

/**
 * The guest's side of the host bridge. Its 32-bit window is the beginning of QEMU's: Xen has put its guest's UART, grant table and
 * RAM into the rest (xen/include/public/arch-arm.h). Its RAM is where Xen puts it.
 */
const machine = `
pinbar: 1
machine: { arch: aarch64, board: none, ram: [{ base: 0x40000000, size: 512MiB }] }
reserved:
  - { base: 0xb000000000, size: 1GiB, reason: kept free }
hostBridges:
  - id: pcie.0
    windows:
      - { type: io, base: 0x0, size: 64KiB, cpuBase: 0x3eff0000 }
      - { type: mem32, base: 0x10000000, size: 256MiB }
      - { type: mem64, base: 0x8000000000, size: 512GiB }
    functions:
      - id: rp1
        slot: "1.0"
        bars: [{ index: 0, type: mem32, size: 4KiB }]
        bridge:
          kind: root-port
          functions:
            - id: shared
              slot: "0.0"
              bars:
                - { index: 0, type: mem32, size: 256 }
                - { index: 2, type: mem64, prefetchable: true, size: 64MiB, pin: 0x8b40000000 }
      - id: rp2
        slot: "2.0"
        bars: [{ index: 0, type: mem32, size: 4KiB }]
        bridge:
          kind: root-port
          functions:
            - id: dev0
              slot: "0.0"
              bars:
                - { index: 0, type: mem32, size: 4KiB }
                - { index: 1, type: io, size: 256 }
                - { index: 2, type: mem64, prefetchable: true, size: 1GiB, pin: 0xc000000000 }
`;
// prettier-ignore
const devices = [
  '-device', 'pcie-root-port,id=rp1,chassis=1,addr=1.0', '-object', 'memory-backend-ram,id=memory,size=64M',
  '-device', 'ivshmem-plain,id=shared,bus=rp1,memdev=memory',
  '-device', 'pcie-root-port,id=rp2,chassis=2,addr=2.0', '-device', 'pci-testdev,id=dev0,bus=rp2,membar=1G',
];
const board = [qemuBinary('10.0'), '-M', 'virt,virtualization=on,gic-version=3', '-cpu', 'cortex-a57', '-m', '2G'];
const noDisplay = ['-nodefaults', '-display', 'none'];

/** What the hypervisor finds in RAM, beside itself. */
const at = { kernel: 0x4900_0000, ramdisk: 0x4d00_0000, tree: 0x4e00_0000 } as const;

/**
 * With these properties Xen maps host memory into the guest as it stands: config space and windows of QEMU's own host bridge.
 * (Debian builds Xen for Arm without IOREQ servers, so there is nothing that could emulate one.)
 */
const passedThrough = (fragment: string): string => {
  const ranges = [
    [ECAM, 0x1000_0000n],
    [0x3eff_0000n, 0x1_0000n],
    [0x1000_0000n, 0x1000_0000n],
    [0x80_0000_0000n, 0x80_0000_0000n],
  ] as const;
  const cells = ranges.flatMap(([base, size]) => [base, size, base].flatMap((value) => splitCells(value, 2)));
  const more = `xen,reg = <${cells.join(' ')}>;\nxen,force-assign-without-iommu;\n`;
  const changed = fragment.replace(/(?<=\t)linux,pci-probe-only/, `${more}$&`);
  expect(changed).not.toBe(fragment);
  return changed;
};

/** What pinbar exports of the machine, compiled. */
async function exported(format: string, folder: string, change = (source: string) => source): Promise<Uint8Array> {
  const file = join(folder, 'guest.pinbar.yaml');
  writeFileSync(file, machine);
  const { output: source, end } = await pinbar(['export', format, file, '--ecam', `0x${ECAM.toString(16)}`]);
  expect(end).toBe(0);
  const { status, stdout, stderr } = spawnSync('dtc', ['-q', '-I', 'dts', '-O', 'dtb'], { input: change(source) });
  expect(stderr.toString(), `dtc ended with ${status}`).toBe('');
  return stdout;
}

/** QEMU's own tree with a guest for Xen in it: the domain that pinbar exports, and where its parts are in RAM. */
async function hostTree(folder: string, sizes: Readonly<Record<keyof typeof at, number>>): Promise<Uint8Array> {
  const dumped = join(folder, 'virt.dtb');
  const [program = '', ...args] = board;
  const dump = args.map((word) => (word.startsWith('virt,') ? `${word},dumpdtb=${dumped}` : word));
  await runToEnd([program, ...dump, ...noDisplay]);
  const tree = parseDeviceTree(readFileSync(dumped));
  const domain = findNode(parseDeviceTree(await exported('xen-domain', folder)), '/chosen/domU1')!.node;
  const part = (what: keyof typeof at, compatible: string, properties: readonly Property[] = []): DeviceTreeNode => ({
    name: `module@${at[what].toString(16)}`,
    properties: [
      strings('compatible', compatible, 'multiboot,module'),
      cells('reg', 0, at[what], 0, sizes[what]),
      ...properties,
    ],
    children: [],
  });
  const chosen: DeviceTreeNode = {
    name: 'chosen',
    properties: [
      cells('#address-cells', 2),
      cells('#size-cells', 2),
      strings('stdout-path', '/pl011@9000000'),
      strings('xen,xen-bootargs', 'console=dtuart dtuart=/pl011@9000000 bootscrub=0'),
    ],
    children: [
      {
        ...domain,
        children: [
          part('kernel', 'multiboot,kernel', [
            strings('bootargs', `${fastKernelArguments.aarch64} earlycon=pl011,0x22000000`),
          ]),
          part('ramdisk', 'multiboot,ramdisk'),
          part('tree', 'multiboot,device-tree'),
        ],
      },
    ],
  };
  const { root } = tree;
  const children = [...root.children.filter(({ name }) => name !== 'chosen'), chosen];
  // Without QEMU's slack: QEMU doubles what it is given, and of 2 MiB Xen makes nothing.
  return writeDeviceTree({ ...tree, totalSize: 0, root: { ...root, children } });
}

const cells = (name: string, ...values: readonly number[]): Property => ({ name, value: encodeCells(values) });
const strings = (name: string, ...values: readonly string[]): Property => ({ name, value: encodeStrings(...values) });

/** Runs the guest until its console shows something, and reads that. Nobody is left then to switch the machine off. */
async function guest(folder: string, fragment: Uint8Array, until: RegExp) {
  const file = (name: string) => join(folder, name);
  writeFileSync(file('fragment.dtb'), fragment);
  const script = `
section enable sh -c 'echo 1 >/sys/bus/pci/devices/0000:01:00.0/enable'
section memory mmio_test "$(bar 0000:01:00.0 2)"
section pci pci_functions
`;
  writeInitrd(file('initrd'), { script, modules: false });
  const size = (path: string) => statSync(path).size;
  const sizes = { kernel: size(kernelImage()), ramdisk: size(file('initrd')), tree: fragment.length };
  writeFileSync(file('host.dtb'), await hostTree(folder, sizes));
  const load = (path: string, address: number) => ['-device', `loader,file=${path},addr=${address},force-raw=on`];
  const run = new RunningPinbar([
    ...['run', '--quiet', '--machine', file('guest.pinbar.yaml'), '--plan-out', file('plan'), '--', ...board],
    ...[...noDisplay, '-serial', 'stdio', ...devices, '-kernel', xenImage('4.20'), '-dtb', file('host.dtb')],
    ...[...load(kernelImage(), at.kernel), ...load(file('initrd'), at.ramdisk), ...load(file('fragment.dtb'), at.tree)],
  ]);
  await run.shows(until);
  run.signal('SIGTERM');
  await run.ended;
  const console = run.output.replaceAll('\r', '').replaceAll(/^\(XEN\) /gm, '');
  return { plan: readPlan(file('plan')), boot: readConsole(console)[0] as Boot, console };
}

describeInLab('a dom0less guest of Xen 4.20', ['qemu-10.0', 'linux-6.12', 'guest', 'xen-4.20'], () => {
  it('keeps the BARs that were pinned before Xen started, by the exported fragment', async () => {
    const folder = scratchFolder();
    const { plan, boot, console } = await guest(folder, await exported('xen', folder, passedThrough), /Power down/);

    expect(console).toContain('Xen dom0less mode detected');
    expectPlanInGuest(plan, boot);
    expect([barOf(boot, '0000:01:00.0', 2), barOf(boot, '0000:02:00.0', 2)]).toEqual([
      0x8b_4000_0000n,
      0xc0_0000_0000n,
    ]);
    expect(output(boot, 'memory')).toContain('keeps what is written');
  });

  it('faults at config space where nobody answers, whatever its node says', async () => {
    const folder = scratchFolder();
    const { console } = await guest(folder, await exported('xen', folder), /end Kernel panic/);

    expect(console).toMatch(/pc : pci_generic_config_read/);
    expect(console).toContain('Unable to handle kernel ttbr address size fault');
    expect(console).not.toContain('@@@ boot');
  });
});
