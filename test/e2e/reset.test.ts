import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { output } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import type { QemuVersion } from '../lab/lab.js';
import { guestCommand, RunningPinbar } from '../lab/pinbar.js';
import { barOf, expectPlanInGuest, readPlan } from '../lab/plan-in-guest.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';
import { barInQemu, connectQmp, runState } from '../lab/user-qmp.js';

/** Counts its boots on a disk: three end in a reboot, the fourth waits to be reset from outside. */
const script = `
section pci pci_functions
section nodes ls /proc/device-tree/chosen
boot=$(count_boots /dev/vda)
section boot echo "$boot"
[ "$boot" -gt 3 ] || finish reboot
if [ "$boot" -eq 4 ]; then echo '@@@ waiting'; sleep 600; fi
`;

const BAR = 0x8b40000000n;

function prepare(version: QemuVersion, console?: readonly string[]) {
  const folder = scratchFolder();
  const file = (name: string) => join(folder, name);
  writeFileSync(file('disk'), '');
  truncateSync(file('disk'), 2 ** 20);
  writeInitrd(file('initrd'), { script });
  // prettier-ignore
  const devices = [
    '-device', 'pcie-root-port,id=rp1,chassis=1,addr=1.0', '-device', 'pci-testdev,id=dev0,bus=rp1,membar=64M',
    '-device', 'pcie-root-port,id=rp2,chassis=2,addr=2.0',
    '-drive', `if=none,id=d0,format=raw,file=${file('disk')}`, '-device', 'virtio-blk-pci,id=disk,drive=d0,bus=rp2',
    ...['qmp', 'qmp2'].flatMap((name) => ['-qmp', `unix:${file(name)},server=on,wait=off`]),
  ];
  const command = guestCommand(version, { initrd: file('initrd'), devices, ...(console ? { console } : {}) });
  const run = new RunningPinbar([
    ...['run', '--quiet', '--verbose', '--verify', '--plan-out', file('plan')],
    ...['--pin', `dev0=bar2@0x${BAR.toString(16)}`, '--', ...command],
  ]);
  return { run, file };
}

describeInLab('resets', ['qemu-7.2', 'qemu-10.0', 'linux-6.12', 'guest'], () => {
  it.each<QemuVersion>(['7.2', '10.0'])('QEMU %s: three reboots and a system_reset change nothing', async (version) => {
    const { run, file } = prepare(version);
    await run.shows(/@@@ waiting/);
    const qmp = await connectQmp(file('qmp'));
    await qmp.execute('system_reset');
    const { boots, end, errors } = await run.ended;

    expect(end).toBe(0);
    expect(boots.map((boot) => `${output(boot, 'boot').trim()} ${boot.left}`)).toEqual([
      '1 reboot',
      '2 reboot',
      '3 reboot',
      '4 undefined',
      '5 poweroff',
    ]);
    const plan = readPlan(file('plan'));
    for (const boot of boots) {
      expect(barOf(boot, '0000:01:00.0', 2)).toBe(BAR);
      expectPlanInGuest(plan, boot);
      expect(output(boot, 'nodes')).toContain('linux,pci-probe-only');
    }
    expect(errors.match(/programming again after a reset/g)).toHaveLength(4);
  });

  it.each<QemuVersion>(['7.2', '10.0'])(
    'QEMU %s: a machine that was paused stays so, and is programmed',
    async (version) => {
      const { run, file } = prepare(version);
      const qmp = await connectQmp(file('qmp'));
      await run.shows(/ms {2}running/, 'errors');
      await qmp.execute('stop');
      expect(await runState(qmp)).toBe('paused');

      const programmed = run.shows(/programming again[^]*running/, 'errors');
      await qmp.execute('system_reset');
      await programmed;
      expect(await runState(qmp)).not.toBe('running');
      expect(await barInQemu(qmp, 'dev0', 2)).toBe(BAR);
      // Not a moment in between: it stays as it is until it is told to go on.
      await expect(qmp.execute('query-status')).resolves.toMatchObject({ running: false });
      await qmp.execute('cont');
      await run.shows(/@@@ boot/);
      await qmp.execute('quit');
      expect((await run.ended).end).toBe(0);
    },
  );

  it('cont right after system_reset: the guest starts programmed all the same', async () => {
    const { run, file } = prepare('10.0');
    const qmp = await connectQmp(file('qmp'));
    await run.shows(/ms {2}running/, 'errors');
    for (let round = 0; round < 20; round++) {
      await qmp.execute('stop');
      // While the machine waits for its reset QEMU may refuse cont; it goes on then when it is told again.
      await Promise.all([qmp.execute('system_reset'), qmp.execute('cont').catch(() => undefined)]);
      await sleep(round);
    }
    await qmp.execute('cont').catch(() => undefined);
    await run.shows(/@@@ end boot/);
    expect(await barInQemu(qmp, 'dev0', 2)).toBe(BAR);
    await qmp.execute('quit');
    const { boots, end } = await run.ended;
    expect(end).toBe(0);
    expect(barOf(boots[0], '0000:01:00.0', 2)).toBe(BAR);
  });

  it('requests for a reset that come in the midst of another', async () => {
    const { run, file } = prepare('10.0');
    const [first, second] = await Promise.all([connectQmp(file('qmp')), connectQmp(file('qmp2'))]);
    await run.shows(/ms {2}running/, 'errors');
    for (let round = 0; round < 40; round++) {
      await Promise.all([first, second, first].map((qmp) => qmp.execute('system_reset')));
      await sleep(round);
    }
    await run.shows(/@@@ end boot/);
    expect(await barInQemu(first, 'dev0', 2)).toBe(BAR);
    await first.execute('quit');
    const { boots, end } = await run.ended;
    expect(end).toBe(0);
    expect(barOf(boots[0], '0000:01:00.0', 2)).toBe(BAR);
  });
});
