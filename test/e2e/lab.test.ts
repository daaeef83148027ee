import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { output, readFunctions } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import { fastKernelArguments, kernelImage, qemuBinary, type QemuVersion } from '../lab/lab.js';
import { runToEnd } from '../lab/run.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';

/** The lab itself, without pinbar: what other tests measure against. */
const script = `
section pci pci_functions
section lspci lspci -vvv -nn
section virtio disk_test /dev/vda
section nvme disk_test /dev/nvme0n1
section net net_test eth0
section ivshmem mmio_test $(bar 0000:04:00.0 2)
section false false
[ "$(count_boots /dev/vda)" -gt 2 ] || finish reboot
`;

describeInLab('the lab', ['qemu-7.2', 'qemu-10.0', 'linux-6.12', 'guest'], () => {
  it.each<QemuVersion>(['7.2', '10.0'])(
    'QEMU %s: every device works, in the first boot and after two reboots',
    async (version) => {
      const folder = scratchFolder();
      const file = (name: string) => join(folder, name);
      for (const disk of ['virtio', 'nvme']) {
        writeFileSync(file(disk), '');
        truncateSync(file(disk), 16 * 2 ** 20);
      }
      writeInitrd(file('initrd'), { script, lspci: true });
      // prettier-ignore
      const { boots, errors, end } = await runToEnd([
      qemuBinary(version), '-machine', 'virt,gic-version=3', '-cpu', 'max', '-m', '1G', '-nographic', '-nodefaults', '-serial', 'stdio',
      '-device', 'pcie-root-port,id=rp1,chassis=1,addr=1.0', '-device', 'pci-testdev,bus=rp1,membar=64M',
      '-device', 'pcie-root-port,id=rp2,chassis=2,addr=2.0', '-device', 'x3130-upstream,id=up,bus=rp2',
      '-device', 'xio3130-downstream,id=dn0,bus=up,chassis=3,slot=0', '-device', 'xio3130-downstream,id=dn1,bus=up,chassis=4,slot=1',
      '-object', 'memory-backend-ram,id=shared,size=16M', '-device', 'ivshmem-plain,memdev=shared,bus=dn0',
      '-drive', `if=none,id=d0,format=raw,file=${file('nvme')}`, '-device', 'nvme,serial=1,drive=d0,bus=dn1',
      '-drive', `if=none,id=d1,format=raw,file=${file('virtio')}`, '-device', 'virtio-blk-pci,drive=d1,addr=4.0',
      '-netdev', 'user,id=n0,restrict=on', '-device', 'virtio-net-pci,netdev=n0,addr=3.0',
      '-kernel', kernelImage(), '-initrd', file('initrd'), '-append', fastKernelArguments.aarch64,
    ]);

      expect(errors).toBe('');
      expect(end).toBe(0);
      expect(boots.map((boot) => boot.left)).toEqual(['reboot', 'reboot', 'poweroff']);
      for (const boot of boots) {
        const functions = readFunctions(output(boot, 'pci'));
        expect([...functions].map(([address, { driver }]) => `${address} ${driver}`)).toEqual([
          '0000:00:00.0 ',
          '0000:00:01.0 pcieport',
          '0000:00:02.0 pcieport',
          '0000:00:03.0 virtio-pci',
          '0000:00:04.0 virtio-pci',
          '0000:01:00.0 ',
          '0000:02:00.0 pcieport',
          '0000:03:00.0 pcieport',
          '0000:03:01.0 pcieport',
          '0000:04:00.0 ',
          '0000:05:00.0 nvme',
        ]);
        // pci-testdev, vendor 1b36, device 0005: Linux puts its BAR 2 at the bottom of the 64-bit window.
        const testdev = functions.get('0000:01:00.0')!;
        expect(Buffer.from(testdev.config.subarray(0, 4)).toString('hex')).toBe('361b0500');
        expect(testdev.resources[2]).toMatchObject({ base: 0x8000000000n, limit: 0x8003ffffffn });
        expect(output(boot, 'lspci')).toMatch(/^01:00\.0 [^]*Region 2: Memory at 8000000000 \(64-bit, prefetchable\)/m);
        expect(output(boot, 'virtio')).toContain('1048576 bytes written, read and equal');
        expect(output(boot, 'nvme')).toContain('1048576 bytes written, read and equal');
        expect(output(boot, 'net')).toContain('lease 10.0.2.15 on eth0 from 10.0.2.2');
        expect(output(boot, 'ivshmem')).toContain('keeps what is written');
        expect(boot.sections.get('false')?.status).toBe(1);
      }
    },
  );
});
