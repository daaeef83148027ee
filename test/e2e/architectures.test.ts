import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { output, readFunctions, type Boot } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import type { GuestArch, QemuVersion } from '../lab/lab.js';
import { guestCommand, RunningPinbar, withoutStages } from '../lab/pinbar.js';
import { expectPlanInGuest, listings, readPlan, verify, type WrittenPlan } from '../lab/plan-in-guest.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';
import { connectQmp } from '../lab/user-qmp.js';

/** The same tree on every board, used in every boot. aarch64 has qtest in the other tests. */
interface BoardCase {
  readonly arch: GuestArch;
  readonly version: QemuVersion;
  readonly machine?: string;
  readonly transport: 'qtest' | 'gdb';
  /** Without message signalled interrupts devices are left with their pins. */
  readonly msi: boolean;
  /** Inside the windows of the board: below and above 4 GiB. */
  readonly low: (offset: number) => string;
  readonly high: (offset: bigint) => string;
}

const at = (base: bigint) => (offset: bigint | number) => `0x${(base + BigInt(offset)).toString(16)}`;
const aarch64 = { arch: 'aarch64', transport: 'gdb', low: at(0x1000_0000n), high: at(0x8b_4000_0000n) } as const;
const riscv64 = { arch: 'riscv64', low: at(0x5000_0000n), high: at(0x4_4000_0000n) } as const;
const x86 = { arch: 'x86_64', low: at(0xc000_0000n), high: at(0x6b_8000_0000n) } as const;
const cases: readonly BoardCase[] = [
  { ...aarch64, version: '7.2', msi: true },
  { ...aarch64, version: '10.0', msi: true },
  // Its PLIC has no MSI.
  { ...riscv64, version: '7.2', transport: 'qtest', msi: false },
  { ...riscv64, version: '10.0', transport: 'gdb', machine: ',aia=aplic-imsic', msi: true },
  { ...x86, version: '7.2', transport: 'gdb', msi: true },
  { ...x86, version: '10.0', transport: 'qtest', msi: true },
];

/** All devices are used in every boot; what a person would look at comes from the first. */
const script = (mmio: string) => `
section pci pci_functions
section ivshmem mmio_test ${mmio}
section nvme disk_test /dev/nvme0n1
# vda has MSI-X, vdb only its interrupt pin.
section virtio disk_test /dev/vda
section pin disk_test /dev/vdb
section interrupts cat /proc/interrupts
section net net_test eth0
section host-bridge sh -c "dmesg | grep 'root bus resource'"
boot=$(count_boots /dev/vda)
section boot echo "$boot"
[ "$boot" -gt 1 ] || { ${listings.replaceAll('section pci pci_functions', '').trim().replaceAll('\n', '; ')}; }
[ "$boot" -gt 2 ] || finish reboot
if [ "$boot" -eq 3 ]; then echo '@@@ waiting'; sleep 600; fi
`;

// prettier-ignore
const devices = (file: (name: string) => string) => [
  '-device', 'pcie-root-port,id=rp1,chassis=1,addr=1.0',
  '-device', 'pci-testdev,id=test,bus=rp1,membar=64M',
  '-device', 'pcie-root-port,id=rp2,chassis=2,addr=2.0',
  '-device', 'x3130-upstream,id=up,bus=rp2',
  '-device', 'xio3130-downstream,id=dn0,bus=up,chassis=3,slot=0',
  '-device', 'xio3130-downstream,id=dn1,bus=up,chassis=4,slot=1',
  '-object', 'memory-backend-ram,id=memory,size=16M', '-device', 'ivshmem-plain,id=shared,memdev=memory,bus=dn0',
  '-drive', `if=none,id=d0,format=raw,file=${file('nvme')}`, '-device', 'nvme,id=nvme,serial=1,drive=d0,bus=dn1',
  '-device', 'pcie-root-port,id=rp3,chassis=5,addr=3.0',
  '-drive', `if=none,id=d1,format=raw,file=${file('msix')}`, '-device', 'virtio-blk-pci,id=disk,drive=d1,bus=rp3',
  '-drive', `if=none,id=d2,format=raw,file=${file('intx')}`, '-device', 'virtio-blk-pci,id=disk2,drive=d2,vectors=0,addr=5.0',
  '-netdev', 'user,id=n0,restrict=on', '-device', 'virtio-net-pci,id=net,netdev=n0,addr=6.0',
];

describeInLab(
  'every architecture',
  // prettier-ignore
  [
    'qemu-7.2', 'qemu-10.0', 'linux-6.12', 'guest',
    'qemu-7.2-riscv64', 'qemu-10.0-riscv64', 'linux-6.12-riscv64', 'guest-riscv64',
    'qemu-7.2-x86_64', 'qemu-10.0-x86_64', 'linux-6.12-x86_64', 'guest-x86_64',
  ],
  () => {
    it.each(cases)(
      '$arch, QEMU $version, $transport: a tree works where the plan has it, after two reboots and a system_reset',
      async (board) => {
        const { arch, version, machine = '', transport, msi, low, high } = board;
        const folder = scratchFolder();
        const file = (name: string) => join(folder, name);
        for (const disk of ['nvme', 'msix', 'intx']) {
          writeFileSync(file(disk), '');
          truncateSync(file(disk), 4 * 2 ** 20);
        }
        const shared = high(0x2_0000_0000n);
        writeInitrd(file('initrd'), { arch, script: script(shared), lspci: true });
        const pins = [
          `test=bar0@${low(0x2000_0000)},bar1@0x7000,bar2@${high(0n)}`,
          `shared=bar2@${shared}`,
          `nvme=bar0@${low(0x1030_0000)}`,
          `disk=bar4@${high(0x1_4000_0000n)}`,
          `net=rom@${low(0x10_0000)}`,
          `rp2=bar0@${low(0x34_5000)}`,
        ];
        const args = [
          ...['run', '--quiet', '--transport', transport, '--plan-out', file('plan'), '--verify'],
          ...pins.flatMap((pin) => ['--pin', pin]),
          '--',
          ...guestCommand(version, { arch, machine, initrd: file('initrd'), devices: devices(file) }),
          ...['-qmp', `unix:${file('qmp')},server=on,wait=off`],
        ];
        const run = new RunningPinbar(args, { seconds: 170 });
        await run.shows(/@@@ waiting/);
        await (await connectQmp(file('qmp'))).execute('system_reset');
        const { boots, end, errors } = await run.ended;
        expect(withoutStages(errors).replaceAll(/\s+/g, ' ')).toMatch(
          arch === 'x86_64' ? /^pinbar: -bios qboot\.rom is added: [^:]* enumerates PCI itself $/ : /^$/,
        );
        expect(end).toBe(0);

        const plan = readPlan(file('plan'));
        const pinned = plan.functions.flatMap(({ id, bars, rom }) => [
          ...bars.filter((bar) => bar.pinned).map(({ index, address }) => `${id}=bar${index}@${address}`),
          ...(id === 'net' ? [`net=rom@${rom?.address}`] : []),
        ]);
        expect(pinned.toSorted()).toEqual(
          pins.flatMap((pin) => pin.replace(/^(\w+)=(.*),(.*),(.*)$/, '$1=$2 $1=$3 $1=$4').split(' ')).toSorted(),
        );

        expect(boots.map((boot) => `${output(boot, 'boot').trim()} ${boot.left}`)).toEqual([
          '1 reboot',
          '2 reboot',
          '3 undefined',
          '4 poweroff',
        ]);
        for (const boot of boots) {
          expectPlanInGuest(plan, boot);
          expectDevicesToWork(boot, shared, msi);
          if (arch === 'x86_64') expectAcpiWindowsToHold(plan, boot);
        }
        const drivers = new Map(
          [...readFunctions(output(boots[0], 'pci')).values()].map((fn) => [fn.address, fn.driver]),
        );
        expect(
          plan.functions
            .flatMap(({ id, address }) => (drivers.get(address) ? `${id} ${drivers.get(address)}` : []))
            .toSorted(),
        ).toEqual([
          ...['disk virtio-pci', 'disk2 virtio-pci', 'dn0 pcieport', 'dn1 pcieport', 'net virtio-pci', 'nvme nvme'],
          ...['rp1 pcieport', 'rp2 pcieport', 'rp3 pcieport', 'up pcieport'],
        ]);
        const verified = await verify(folder, file('plan'), boots[0]);
        expect({ end: verified.end, verdict: (JSON.parse(verified.output) as { verdict: string }).verdict }).toEqual({
          end: 0,
          verdict: 'holds',
        });
      },
    );
  },
);

function expectDevicesToWork(boot: Boot, shared: string, msi: boolean): void {
  for (const disk of ['virtio', 'pin', 'nvme']) expect(output(boot, disk)).toContain('written, read and equal');
  expect(output(boot, 'net')).toContain('lease 10.0.2.15 on eth0 from 10.0.2.2');
  expect(output(boot, 'ivshmem')).toContain(`${shared} keeps what is written`);
  const interrupts = output(boot, 'interrupts').split('\n');
  // disk has MSI-X, a vector for its queue; disk2 has none, and shares its pin's line with who else has it.
  expect(interrupts.filter((line) => /PCI-MSI.* virtio\d-req\.0$/.test(line))).toHaveLength(msi ? 1 : 0);
  const line = interrupts.find((one) => !/PCI-MSI/.test(one) && / virtio\d$/.test(one));
  expect(Number(line?.trim().split(/\s+/)[1])).toBeGreaterThan(4);
}

/** `root bus resource [mem 0x6b80000000-0x737fffffff window]`: the host bridge's windows as ACPI has them. */
function expectAcpiWindowsToHold(plan: WrittenPlan, boot: Boot): void {
  const windows = [...output(boot, 'host-bridge').matchAll(/\[(io|mem) +0x([0-9a-f]+)-0x([0-9a-f]+) window\]/g)].map(
    ([, type = '', base = '', limit = '']) => ({ type, base: BigInt(`0x${base}`), limit: BigInt(`0x${limit}`) }),
  );
  const outside = plan.functions.flatMap(({ id, bars }) =>
    bars
      .filter(({ type, address, size }) => {
        const base = BigInt(address);
        const limit = base + BigInt(size) - 1n;
        return !windows.some((one) => one.type === type.replace(/\d+$/, '') && one.base <= base && limit <= one.limit);
      })
      .map(({ index, address }) => `${id} BAR ${index} at ${address}`),
  );
  expect(outside).toEqual([]);
  // And the one above 4 GiB begins with the lowest BAR there: it follows the plan.
  const high = plan.functions
    .flatMap(({ bars }) => bars.map(({ address }) => BigInt(address)))
    .filter((address) => address >= 1n << 32n);
  const lowest = high.reduce((least, address) => (address < least ? address : least));
  expect(windows.filter(({ base }) => base >= 1n << 32n).map(({ base }) => base)).toEqual([lowest]);
}
