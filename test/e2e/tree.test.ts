import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { output, readFunctions } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import type { QemuVersion } from '../lab/lab.js';
import { guestCommand, pinbar, withoutStages } from '../lab/pinbar.js';
import { expectPlanInGuest, listings, readPlan, verify } from '../lab/plan-in-guest.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';

/** Everything is looked at again after the devices were used: a driver may move or switch off what it does not like. */
const script = `${listings}
section virtio disk_test /dev/vda 4
section nvme disk_test /dev/nvme0n1 4
section net net_test eth0
section ivshmem mmio_test 0x9000000000
section afterwards pci_functions
`;

// prettier-ignore
const devices = (nvme: string, virtio: string) => [
  '-device', 'pcie-root-port,id=rp1,chassis=1,addr=1.0',
  '-device', 'pci-testdev,id=test,bus=rp1,membar=64M',
  '-device', 'pcie-root-port,id=rp2,chassis=2,addr=2.0',
  '-device', 'x3130-upstream,id=up,bus=rp2',
  '-device', 'xio3130-downstream,id=dn0,bus=up,chassis=3,slot=0',
  '-device', 'xio3130-downstream,id=dn1,bus=up,chassis=4,slot=1',
  '-object', 'memory-backend-ram,id=memory,size=16M',
  '-device', '{"driver":"ivshmem-plain","id":"shared","memdev":"memory","bus":"dn0","fixed-bars":"bar2@0x9000000000"}',
  '-drive', `if=none,id=d0,format=raw,file=${nvme}`, '-device', 'nvme,id=nvme,serial=1,drive=d0,bus=dn1,fixed-bars=bar0@0x20300000',
  '-drive', `if=none,id=d1,format=raw,file=${virtio}`, '-device', 'virtio-blk-pci,id=disk,drive=d1,addr=4.0',
  '-netdev', 'user,id=n0,restrict=on', '-device', 'virtio-net-pci,id=net,netdev=n0,addr=3.0',
];

/** A pin of every kind of resource, in no order, inside the fixed 512 GiB from 0x8000000000 where it is 64-bit. */
const pins = [
  // Behind a port: mem32, I/O, and 64-bit prefetchable.
  'test=bar0@0x2a000000,bar1@0x7000,bar2@0x8b40000000',
  // On the root bus: 64-bit prefetchable at the end of the window, mem32; I/O, and a ROM.
  'disk=bar4@0xffffffc000,bar1@0x3efef000',
  'net=bar0@0x3040,rom@0x30000000',
  // A port's own BAR.
  'rp2=bar0@0x10345000',
];
const pinned: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  rp2: { 0: '0x10345000' },
  test: { 0: '0x2a000000', 1: '0x7000', 2: '0x8b40000000' },
  shared: { 2: '0x9000000000' },
  // 64-bit and not prefetchable, so below 4 GiB behind a bridge.
  nvme: { 0: '0x20300000' },
  disk: { 1: '0x3efef000', 4: '0xffffffc000' },
  net: { 0: '0x3040', rom: '0x30000000' },
};

describeInLab('a tree with a switch', ['qemu-7.2', 'qemu-10.0', 'linux-6.12', 'guest'], () => {
  it.each<QemuVersion>(['7.2', '10.0'])(
    'QEMU %s: every BAR is where the plan says, and every device works',
    async (version) => {
      const folder = scratchFolder();
      const file = (name: string) => join(folder, name);
      for (const disk of ['nvme', 'virtio']) {
        writeFileSync(file(disk), '');
        truncateSync(file(disk), 16 * 2 ** 20);
      }
      writeInitrd(file('initrd'), { script, lspci: true });
      const command = guestCommand(version, { initrd: file('initrd'), devices: devices(file('nvme'), file('virtio')) });
      const { boots, end, errors } = await pinbar([
        ...['run', '--quiet', '--plan-out', file('plan'), '--verify'],
        ...pins.flatMap((pin) => ['--pin', pin]),
        ...['--', ...command],
      ]);
      expect(withoutStages(errors)).toBe('');
      expect(end).toBe(0);

      const plan = readPlan(file('plan'));
      for (const [id, bars] of Object.entries(pinned)) {
        const fn = plan.functions.find((one) => one.id === id)!;
        const placed = Object.fromEntries(fn.bars.filter((bar) => bar.pinned).map((bar) => [bar.index, bar.address]));
        expect({ id, ...placed, ...(bars['rom'] ? { rom: fn.rom?.address } : {}) }).toEqual({ id, ...bars });
      }
      // What is pinned and what is not, of every type.
      const kinds = plan.functions.flatMap(({ bars }) =>
        bars.map((bar) => `${bar.type}${bar.prefetchable ? ' prefetchable' : ''}`),
      );
      expect([...new Set(kinds)].toSorted()).toEqual(['io', 'mem32', 'mem64', 'mem64 prefetchable']);

      const [boot] = boots;
      expectPlanInGuest(plan, boot);
      expect(output(boot, 'afterwards').replaceAll(/^config .*$/gm, '')).toBe(
        output(boot, 'pci').replaceAll(/^config .*$/gm, ''),
      );
      const drivers = new Map([...readFunctions(output(boot, 'pci')).values()].map((fn) => [fn.address, fn.driver]));
      expect(plan.functions.map(({ id, address }) => `${id} ${address} ${drivers.get(address)}`)).toEqual([
        '0000:00:00.0 0000:00:00.0 ',
        'rp1 0000:00:01.0 pcieport',
        'rp2 0000:00:02.0 pcieport',
        'net 0000:00:03.0 virtio-pci',
        'disk 0000:00:04.0 virtio-pci',
        'test 0000:01:00.0 ',
        'up 0000:02:00.0 pcieport',
        'dn0 0000:03:00.0 pcieport',
        'dn1 0000:03:01.0 pcieport',
        'shared 0000:04:00.0 ',
        'nvme 0000:05:00.0 nvme',
      ]);
      expect(output(boot, 'virtio')).toContain('4194304 bytes written, read and equal');
      expect(output(boot, 'nvme')).toContain('4194304 bytes written, read and equal');
      expect(output(boot, 'net')).toContain('lease 10.0.2.15 on eth0 from 10.0.2.2');
      expect(output(boot, 'ivshmem')).toContain('0x9000000000 keeps what is written');

      const verified = await verify(folder, file('plan'), boot);
      expect({ end: verified.end, verdict: (JSON.parse(verified.output) as { verdict: string }).verdict }).toEqual({
        end: 0,
        verdict: 'holds',
      });
    },
  );
});
