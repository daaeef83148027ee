import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { output } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import type { QemuVersion } from '../lab/lab.js';
import { guestCommand, pinbar } from '../lab/pinbar.js';
import { inGuest, planned, readPlan } from '../lab/plan-in-guest.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';

const script = `
section pci pci_functions
section disk disk_test /dev/vda
section host-bridge sh -c "dmesg | grep 'root bus resource'"
boot=$(count_boots /dev/vda)
section boot echo "$boot"
[ "$boot" -gt 1 ] || finish reboot
`;

const pins = ['test=bar0@0xe0000000,bar1@0x6000,bar2@0x6b80000000', 'disk=bar4@0x7000000000'];

describeInLab(
  'a PC with PCI and no Express',
  ['qemu-7.2-x86_64', 'qemu-10.0-x86_64', 'linux-6.12-x86_64', 'guest-x86_64'],
  () => {
    it.each<readonly [QemuVersion, string]>([
      ['7.2', 'gdb'],
      ['10.0', 'qtest'],
    ])(
      'QEMU %s, %s: pins hold behind a bridge and beside it, after a reboot',
      { timeout: 200_000 },
      async (version, transport) => {
        const folder = scratchFolder();
        const file = (name: string) => join(folder, name);
        writeFileSync(file('disk'), '');
        truncateSync(file('disk'), 4 * 2 ** 20);
        writeInitrd(file('initrd'), { arch: 'x86_64', script });
        // prettier-ignore
        const devices = [
        '-device', 'pci-bridge,id=bridge,chassis_nr=1,addr=5.0',
        '-device', 'pci-testdev,id=test,bus=bridge,addr=1.0,membar=64M',
        '-drive', `if=none,id=d0,format=raw,file=${file('disk')}`, '-device', 'virtio-blk-pci,id=disk,drive=d0',
      ];
        const command = guestCommand(version, { arch: 'x86_64', initrd: file('initrd'), devices });
        const { boots, end, errors } = await pinbar(
          [
            ...['run', '--quiet', '--transport', transport, '--plan-out', file('plan'), '--verify'],
            ...pins.flatMap((pin) => ['--pin', pin]),
            ...['--', ...command.map((word) => word.replace(/^q35/, 'pc'))],
          ],
          { seconds: 180 },
        );
        expect(errors).toContain('pinbar: -bios qboot.rom is added');
        expect(end).toBe(0);
        expect(boots.map((boot) => `${output(boot, 'boot').trim()} ${boot.left}`)).toEqual(['1 reboot', '2 poweroff']);
        const plan = readPlan(file('plan'));
        const bars = plan.functions.flatMap(({ id, bars: own }) =>
          own.filter((bar) => bar.pinned).map(({ index, address }) => `${id} ${index} ${address}`),
        );
        expect(bars.toSorted()).toEqual([
          'disk 4 0x7000000000',
          'test 0 0xe0000000',
          'test 1 0x6000',
          'test 2 0x6b80000000',
        ]);
        for (const boot of boots) {
          const { sysfs, registers } = inGuest(plan, boot);
          // Linux gives the IDE function the ports of a PC/AT, which are no BARs of its.
          const legacy = /^0000:00:01\.1 [0-3] /;
          expect(sysfs.filter((line) => !legacy.test(line)).toSorted()).toEqual(planned(plan).toSorted());
          expect(registers).toEqual(planned(plan).filter((line) => !line.includes(' ROM ')));
          expect(output(boot, 'disk')).toContain('written, read and equal');
          expect(output(boot, 'host-bridge')).toContain('-0x7000003fff window]');
        }
      },
    );
  },
);
