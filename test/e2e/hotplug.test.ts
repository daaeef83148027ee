import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { output, readFunctions, type Boot } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import type { QemuVersion } from '../lab/lab.js';
import { guestCommand, RunningPinbar } from '../lab/pinbar.js';
import { barOf, readPlan } from '../lab/plan-in-guest.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';
import { connectQmp } from '../lab/user-qmp.js';

/** Waits for a device to come and reboots with it; with `unplug` waits for two to go and reboots without them. */
const script = (unplug: boolean) => `
until_shown() { for i in $(seq 1 100); do [ -e "/sys/bus/pci/devices/$1" ] && return; sleep 0.1; done; return 1; }
until_gone() { for i in $(seq 1 100); do [ -e "/sys/bus/pci/devices/$1" ] || return 0; sleep 0.1; done; return 1; }
boot=$(count_boots /dev/vda)
section boot echo "$boot"
echo "@@@ waiting $boot"
if [ "$boot" -eq 1 ]; then
  echo '@@@ plug'
  section come until_shown 0000:01:00.0
  sleep 0.5
fi
if [ "$boot" -le 2 ]; then
  # Linux enables a device when a driver takes it, and none does.
  section enable sh -c 'echo 1 >/sys/bus/pci/devices/0000:01:00.0/enable'
  section memory mmio_test "$(bar 0000:01:00.0 2)"
fi
section pci pci_functions
${unplug ? '' : '[ "$boot" -ne 2 ] || finish poweroff'}
if [ "$boot" -eq 2 ]; then
  echo '@@@ unplug'
  section go until_gone 0000:01:00.0
  section leave until_gone 0000:04:00.0
fi
[ "$boot" -eq 3 ] || finish reboot
`;

const ROOM = 64n << 20n;
const BAR = 0x9040000000n;
// prettier-ignore
const ports = [
  '-device', 'pcie-root-port,id=rp1,chassis=1,addr=1.0',
  '-device', 'pcie-root-port,id=rp2,chassis=2,addr=2.0', '-device', 'pci-testdev,id=dev0,bus=rp2,membar=16M',
];
const reserve = ['--reserve', 'rp1=buses:2,memory:2M,prefetchable:64M'];

function prepare(version: QemuVersion, own: readonly string[], devices: readonly string[], unplug = false) {
  const folder = scratchFolder();
  const file = (name: string) => join(folder, name);
  writeFileSync(file('disk'), '');
  truncateSync(file('disk'), 2 ** 20);
  writeInitrd(file('initrd'), { script: script(unplug) });
  // prettier-ignore
  const command = guestCommand(version, { initrd: file('initrd'), devices: [...devices,
    '-drive', `if=none,id=d0,format=raw,file=${file('disk')}`, '-device', 'virtio-blk-pci,id=disk,drive=d0,addr=3.0',
    '-object', 'memory-backend-ram,id=memory,size=64M', '-qmp', `unix:${file('qmp')},server=on,wait=off`,
  ] });
  const run = new RunningPinbar(['run', '--quiet', '--verbose', '--plan-out', file('plan'), ...own, '--', ...command]);
  return { run, file };
}

const range = (boot: Boot | undefined, address: string, index: number) =>
  readFunctions(output(boot, 'pci')).get(address)?.resources[index];

describeInLab('hotplug', ['qemu-7.2', 'qemu-10.0', 'linux-6.12', 'guest'], () => {
  it.each<[QemuVersion, string]>([
    ['7.2', ''],
    ['10.0', ', and may go again'],
  ])('QEMU %s: a device gets the room that was kept, keeps it over a reboot%s', async (version, more) => {
    // Half of the time is Linux waiting five seconds whether an unplugging was meant.
    const unplug = more !== '';
    const pin = ['--pin', `dev0=bar2@0x${BAR.toString(16)}`];
    const { run, file } = prepare(version, ['--verify', ...pin, ...reserve], ports, unplug);
    await run.shows(/@@@ plug/);
    const [port] = readPlan(file('plan')).bridges as unknown as [Record<'memory' | 'prefetchable', Window>];
    const qmp = await connectQmp(file('qmp'));
    await qmp.execute('device_add', { driver: 'ivshmem-plain', id: 'hot0', bus: 'rp1', memdev: 'memory' });
    await run.shows(/@@@ waiting 2/);
    const { functions } = readPlan(file('plan'));
    if (unplug) {
      await run.shows(/@@@ unplug/);
      for (const id of ['hot0', 'dev0']) await qmp.execute('device_del', { id });
    }
    const { boots, end, errors } = await run.ended;

    expect(boots.map((boot) => `${output(boot, 'boot').trim()} ${boot.left}`)).toEqual([
      '1 reboot',
      ...(unplug ? ['2 reboot', '3 poweroff'] : ['2 poweroff']),
    ]);
    // All of the prefetchable window, which is as large as the BAR, and a part of the other.
    const within = (window: Window, of: ReturnType<typeof range>) =>
      of !== undefined && BigInt(window.base) <= of.base && of.limit <= BigInt(window.limit);
    expect(BigInt(port.prefetchable.limit) - BigInt(port.prefetchable.base) + 1n).toBe(ROOM);
    for (const boot of boots.slice(0, 2)) {
      expect(range(boot, '0000:01:00.0', 2)).toMatchObject({
        base: BigInt(port.prefetchable.base),
        limit: BigInt(port.prefetchable.limit),
      });
      expect(within(port.memory, range(boot, '0000:01:00.0', 0))).toBe(true);
      expect(output(boot, 'memory')).toContain('keeps what is written');
      expect(barOf(boot, '0000:04:00.0', 2)).toBe(BAR);
    }
    expect(functions.find(({ id }) => id === 'hot0')).toMatchObject({ address: '0000:01:00.0' });
    expect(errors).toMatch(/new since the last start of the guest: hot0 \(0000:01:00\.0\); placed beside/);
    if (unplug) {
      // What has gone is neither missed nor looked for.
      const last = readFunctions(output(boots[2], 'pci'));
      expect([...last.keys()]).toEqual(['0000:00:00.0', '0000:00:01.0', '0000:00:02.0', '0000:00:03.0']);
      expect(errors).toMatch(/gone since the last start of the guest: hot0, dev0/);
    }
    expect(errors).not.toContain('had not kept');
    expect(end).toBe(0);
  });

  it('what QEMU’s own options ask for is kept, and --reserve comes before it', async () => {
    const [, , ...others] = ports;
    const port = 'pcie-root-port,id=rp1,chassis=1,addr=1.0,bus-reserve=3,mem-reserve=4M,pref64-reserve=32M';
    const { run, file } = prepare('10.0', ['--reserve', 'rp1=prefetchable:128M'], ['-S', '-device', port, ...others]);
    await run.shows(/ms {2}running/, 'errors');
    const rp1 = readPlan(file('plan')).bridges.find(({ id }) => id === 'rp1');
    run.signal('SIGTERM');
    await run.ended;
    const size = ({ base, limit }: Window) => BigInt(limit) - BigInt(base) + 1n;
    const { memory, prefetchable } = rp1 as unknown as Record<'memory' | 'prefetchable', Window>;
    expect(rp1).toMatchObject({ secondary: 1, subordinate: 4 });
    expect([size(memory), size(prefetchable)]).toEqual([4n << 20n, 128n << 20n]);
  });
});

interface Window {
  readonly base: string;
  readonly limit: string;
}
