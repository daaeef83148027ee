import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { output } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import type { GuestArch, QemuVersion } from '../lab/lab.js';
import { OwnQemu } from '../lab/own-qemu.js';
import { expectPlanInGuest, readPlan } from '../lab/plan-in-guest.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';
import { barInQemu, connectQmp, runState } from '../lab/user-qmp.js';

/** Uses its disk in every boot; the first ends in a reboot, the second waits to be reset from outside. */
const script = `
section pci pci_functions
section disk disk_test /dev/vda
boot=$(count_boots /dev/vda)
section boot echo "$boot"
[ "$boot" -gt 1 ] || finish reboot
if [ "$boot" -eq 2 ]; then echo '@@@ waiting'; sleep 600; fi
`;

interface Case {
  readonly arch: GuestArch;
  readonly version: QemuVersion;
  readonly transport: 'qtest' | 'gdb';
  readonly bar: bigint;
  readonly more: readonly string[];
}

const libvirt = ['-no-shutdown'];
// prettier-ignore
const cases: readonly Case[] = [
  { arch: 'aarch64', version: '7.2', transport: 'gdb', bar: 0x8b40000000n, more: [] },
  { arch: 'aarch64', version: '10.0', transport: 'qtest', bar: 0x8b40000000n, more: libvirt },
  { arch: 'riscv64', version: '7.2', transport: 'qtest', bar: 0x440000000n, more: [] },
  { arch: 'x86_64', version: '10.0', transport: 'gdb', bar: 0x6b80000000n, more: ['-bios', 'qboot.rom', ...libvirt] },
];

// prettier-ignore
const devices = (disk: string) => [
  '-device', 'pcie-root-port,id=rp1,chassis=1,addr=1.0', '-device', 'pci-testdev,id=dev0,bus=rp1,membar=64M',
  '-device', 'pcie-root-port,id=rp2,chassis=2,addr=2.0', '-device', 'x3130-upstream,id=up,bus=rp2',
  '-device', 'xio3130-downstream,id=dn0,bus=up,chassis=3,slot=0',
  '-drive', `if=none,id=d0,format=raw,file=${disk}`, '-device', 'virtio-blk-pci,id=disk,drive=d0,bus=dn0',
];

const pin = (bar: bigint) => ['--pin', `dev0=bar2@0x${bar.toString(16)}`];

describeInLab(
  'pinbar attach',
  // prettier-ignore
  [
    'qemu-7.2', 'qemu-10.0', 'linux-6.12', 'guest', 'qemu-7.2-riscv64', 'linux-6.12-riscv64', 'guest-riscv64',
    'qemu-10.0-x86_64', 'linux-6.12-x86_64', 'guest-x86_64',
  ],
  () => {
    it.each(cases)(
      '$arch, QEMU $version, $transport: a machine keeps its pins after a reboot and a system_reset',
      async ({ arch, version, transport, bar, more }) => {
        const folder = scratchFolder();
        const file = (name: string) => join(folder, name);
        writeFileSync(file('disk'), '');
        truncateSync(file('disk'), 4 * 2 ** 20);
        writeInitrd(file('initrd'), { arch, script });
        const vm = new OwnQemu(
          version,
          { arch, initrd: file('initrd'), devices: [...devices(file('disk')), ...more] },
          { seconds: 170 },
        );
        const user = await connectQmp(vm.socket('user-qmp'));
        const words = ['--json', '--verbose', '--out', file('plan'), ...pin(bar)];
        const pinbar = vm.attach(transport, words, { seconds: 170 });
        await pinbar.shows(/the machine is programmed; it stands before its first instruction/, 'errors');
        expect(await runState(user)).toBe('prelaunch');
        expect(await barInQemu(user, 'dev0', 2)).toBe(bar);
        expect(vm.run.output).toBe('');

        await user.execute('cont');
        await vm.run.shows(/@@@ waiting/);
        await user.execute('system_reset');
        await vm.run.shows(/@@@ poweroff/);
        if (more.includes('-no-shutdown')) {
          await user.waitFor(({ event }) => event === 'SHUTDOWN');
          await user.execute('quit').catch(() => undefined);
        }
        const [{ boots, end }, ran] = await Promise.all([vm.run.ended, pinbar.ended]);
        expect(end).toBe(0);
        expect(boots.map((boot) => `${output(boot, 'boot').trim()} ${boot.left}`)).toEqual([
          '1 reboot',
          '2 undefined',
          '3 poweroff',
        ]);
        const plan = readPlan(file('plan'));
        expect(plan.functions.find(({ id }) => id === 'dev0')?.bars.find(({ index }) => index === 2)).toMatchObject({
          address: `0x${bar.toString(16)}`,
          pinned: true,
        });
        for (const boot of boots) {
          expectPlanInGuest(plan, boot);
          expect(output(boot, 'disk')).toContain('written, read and equal');
        }
        expect(ran.errors.match(/programming again after a reset/g)).toHaveLength(2);
        expect(ran.errors).toMatch(/QEMU has ended/);
        expect(JSON.parse(ran.output)).toEqual(plan);
        expect(ran.end).toBe(0);
      },
    );
  },
);

describeInLab('pinbar attach, without a guest', ['qemu-7.2', 'qemu-10.0', 'linux-6.12'], () => {
  /** A paused machine, and what of its PCI registers there is to see. */
  async function paused(version: QemuVersion = '10.0') {
    const vm = new OwnQemu(version, { devices: devices('null-co://') });
    const user = await connectQmp(vm.socket('user-qmp'));
    return { vm, user, registers: async () => (await user.monitor('info pci')) + (await user.monitor('info qtree')) };
  }

  it.each<{ name: string; words: readonly string[]; end: number; says: readonly (string | RegExp)[] }>([
    { name: 'an unknown id', words: ['--pin', 'dev9=bar2@0x8b40000000'], end: 1, says: ['dev9', 'did you mean dev0'] },
    {
      name: 'a pin outside every window',
      words: ['--pin', 'dev0=bar2@0x6b8000000000'],
      end: 2,
      says: ['There is no valid plan'],
    },
    {
      name: 'room behind what is no bridge',
      words: ['--reserve', 'dev0=memory:1M'],
      end: 1,
      says: ['dev0 is no bridge'],
    },
  ])('$name: the machine is left as it was', async ({ words, end, says }) => {
    for (const transport of ['qtest', 'gdb'] as const) {
      const { vm, user, registers } = await paused(transport === 'gdb' ? '7.2' : '10.0');
      const before = await registers();
      expect(before).not.toContain('secondary bus 1');
      const ran = await vm.attach(transport, words).ended;
      for (const part of says) expect(`${ran.output}${ran.errors}`).toMatch(part);
      expect(ran.errors).not.toMatch(/^\s+at .*:\d+:\d+|defect|undefined/m);
      expect(ran.end).toBe(end);
      expect(await registers()).toBe(before);
      expect(await runState(user)).toBe('prelaunch');
    }
  });
});
